//! stub
use super::Global;
#[derive(clap::Args)]
pub(super) struct Dev {}
impl Dev {
    pub(super) async fn run(self, _: &Global) -> anyhow::Result<std::process::ExitCode> {
        Ok(std::process::ExitCode::SUCCESS)
    }
}
