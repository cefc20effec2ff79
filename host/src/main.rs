//! The binary `attache`: reads the command line and hands over to the room of that verb.

fn main() -> std::process::ExitCode {
    attache::cli::main()
}
