//! The host's program as it would be if an attacker had broken out of the engine in a worker: every verb is the real one,
//! and a worker confines itself as the real one does, and then runs code that wants out. For `tests/suite/tests/wall.rs`;
//! nothing else runs it, and no release holds it.
//!
//! The path of an invocation says what is tried, its body what is known already, and the response tells what came of it.

mod broker;
mod machine;
mod speech;

use attache::sandbox::{Limits, Profile, confine};
use attache::workers::WORKER;
use attache::workers::wire::{Invoke, decode};
use broker::Broker;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use speech::{Said, answer, empty, split};
use std::convert::Infallible;
use std::error::Error;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(WORKER) {
        return attache::cli::main();
    }
    match work(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn work(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let memory = arguments.next().ok_or("the host says how much memory there is")?.parse()?;
    // Looked at while there is a way to: later this is asked of the kernel in vain.
    let inherited = machine::inherited()?;
    let socket = |fd: BorrowedFd<'_>| -> std::io::Result<UnixStream> {
        let stream = UnixStream::from(fd.try_clone_to_owned()?);
        stream.set_nonblocking(true).map(|()| stream)
    };
    let (work, broker) = (socket(std::io::stdin().as_fd())?, socket(std::io::stdout().as_fd())?);
    let raw = broker.try_clone()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    confine(Profile::Worker, &Limits { memory: Some(memory), cpu: None })?;
    runtime.block_on(async {
        let attacker = Arc::new(Attacker {
            broker: Broker::over(tokio::net::UnixStream::from_std(broker)?).await?,
            raw,
            inherited,
            held: Mutex::default(),
        });
        let service = service_fn(move |request| {
            let attacker = attacker.clone();
            async move { Ok::<_, Infallible>(attacker.serve(request).await) }
        });
        let io = TokioIo::new(tokio::net::UnixStream::from_std(work)?);
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await?;
        Ok(())
    })
}

struct Attacker {
    broker: Broker,
    /// The socket to the broker, beneath what is spoken over it.
    raw: UnixStream,
    inherited: Vec<String>,
    /// What `/hold` got, for the other invocations of this process to look at.
    held: Mutex<String>,
}

impl Attacker {
    async fn serve(&self, request: Request<Incoming>) -> Response<Said> {
        let path = request.uri().path().to_owned();
        let Ok(body) = request.into_body().collect().await else { return Response::new(empty()) };
        let body = body.to_bytes();
        if path == "/begin" {
            return Response::new(empty());
        }
        let Some((head, rest)) = split(&body) else { return Response::new(empty()) };
        match decode::<Invoke>(head) {
            Ok(invoke) => self.attack(invoke, rest).await,
            Err(error) => answer(&Response::new(()), error.to_string()),
        }
    }

    async fn attack(&self, invoke: Invoke, known: &[u8]) -> Response<Said> {
        let known: serde_json::Value = serde_json::from_slice(known).unwrap_or_default();
        let wat = invoke.wat.0;
        let Ok(request) = invoke.request.with(()) else { return Response::new(empty()) };
        let plain = |text: String| answer(&Response::new(()), text);
        match request.uri().path() {
            "/machine" => plain(machine::looked_at(&known, &self.inherited)),
            "/deadly" => plain(machine::deadly(&known)),
            "/own" => plain(self.broker.own(wat, &known).await),
            "/use" => plain(self.broker.used(&known).await),
            "/hold" => {
                let held = self.broker.kept(wat).await;
                held.clone_into(&mut self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
                tokio::time::sleep(Duration::from_millis(known["ms"].as_u64().unwrap_or(3000))).await;
                plain(held)
            }
            "/peek" => plain(self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()),
            "/forge" => plain(self.broker.forged(wat, &known).await),
            "/guess" => plain(self.broker.guessed(known["times"].as_u64().unwrap_or(1)).await),
            "/noise" => plain(self.broker.noise().await),
            "/half" => plain(self.broker.half_said(known["times"].as_u64().unwrap_or(1)).await),
            "/flood" => plain(self.broker.flood(wat, known["times"].as_u64().unwrap_or(1)).await),
            "/raw" => {
                let _ = std::io::Write::write_all(&mut &self.raw, &[0xff; 4096]);
                plain("written".into())
            }
            "/never" => std::future::pending().await,
            "/die" => std::process::abort(),
            "/die-midway" => {
                tokio::spawn(async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    std::process::abort();
                });
                speech::begun(&Response::new(()), Bytes::from_static(b"the first half"))
            }
            "/lie" => speech::lie(known["how"].as_str().unwrap_or_default()),
            other => plain(format!("there is no attack `{other}`")),
        }
    }
}
