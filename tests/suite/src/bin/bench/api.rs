//! The API that AgentCore's clients speak: a workload that runs elsewhere exchanges its user's token for a workload access
//! token, and that for a third party's; beside a handler that does nothing, on the same HTTP server.

use crate::load::Target;
use crate::opened::{PROVIDER, SCOPE, WORKLOADS};
use crate::report::Report;
use crate::served::{Stopped, processor_time, up};
use crate::signed::{Signed, Signer};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use suite::clients::key;
use suite::host::free_port;
use suite::world::World;

const CREATE: &str = "/identities/CreateWorkloadIdentity";
const MINT: &str = "/identities/GetWorkloadAccessTokenForJWT";
const TOKEN: &str = "/identities/oauth2/token";
/// Mints all the time; of more than 1,024 tokens for one user the oldest end, so what is used is of another.
const MINTING: &str = "open-minting";
const USING: &str = "open-using";
/// No more are signed for one connection and turn.
const MOST: usize = 12_000;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    eprintln!("the API");
    let world = World::start_with(|spec| spec.extra.push_str(&format!("{}{WORKLOADS}", crate::NO_RATE))).await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    let made = key(&world, "bench", "operator", "*")?;
    let user_token = world.token_with(json!({ "user": "alice", "expires_in": 7200 })).await?;
    let address = world.host.url.trim_start_matches("http://").to_owned();
    let signer = || Signer::new(&made, &address);
    for name in [MINTING, USING] {
        asked(&address, signer()?.sign(CREATE, &body(json!({ "name": name })))).await?;
    }
    let minting = |name: &str| body(json!({ "workloadName": name, "userToken": user_token }));
    let minted = asked(&address, signer()?.sign(MINT, &minting(USING))).await?;
    let mint = (MINT, minting(MINTING), minted.to_string().len());
    let wat = minted["workloadAccessToken"].as_str().context("a workload access token")?;
    let using = body(json!({
        "workloadIdentityToken": wat, "resourceCredentialProviderName": PROVIDER, "scopes": [SCOPE], "oauth2Flow": "M2M",
    }));
    let released = asked(&address, signer()?.sign(TOKEN, &using)).await?;
    ensure!(released["accessToken"].is_string(), "a token: {released}");
    let token = (TOKEN, using, released.to_string().len());

    let port = free_port()?;
    let plain = Command::new(std::env::current_exe()?)
        .args(["plain", &port.to_string(), &mint.2.to_string(), &token.2.to_string()])
        .stdin(Stdio::null())
        .spawn()?;
    let (host_id, plain_id) = (world.host.pid().context("a running host")?, plain.id());
    let _plain = Stopped(plain);
    let plain = format!("127.0.0.1:{port}");
    up(&Target { address: plain.clone(), path: "/".into(), token: None }).await?;

    let (rounds, time) = if report.quick { (3, Duration::from_millis(500)) } else { (5, Duration::from_secs(1)) };
    for connections in [1, 32] {
        let many = format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
        let mut turns = [
            Turn::new("the API's two calls by turns", host_id, &address, &[&mint, &token]),
            Turn::new("a bare handler with the same bodies", plain_id, &plain, &[&mint, &token]),
            Turn::new("GetWorkloadAccessTokenForJWT alone", host_id, &address, &[&mint]),
            Turn::new("GetResourceOauth2Token alone (machine to machine, warm)", host_id, &address, &[&token]),
        ];
        for round in 0..=rounds {
            for turn in &mut turns {
                // The first warms, and says how many have to be signed.
                let time = if round == 0 { Duration::from_millis(300) } else { time };
                turn.take(&signer()?, connections, time, round > 0).await?;
            }
        }
        let pairs = turns[0].rates.iter().zip(&turns[1].rates);
        let mut ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
        let pairs = turns[0].cpu.iter().zip(&turns[1].cpu);
        let mut cpu_ratios: Vec<f64> = pairs.map(|(ours, theirs)| theirs / ours).collect();
        for turn in &mut turns {
            report.add(&format!("{}; {many}", turn.name), "requests/s", &mut turn.rates, None);
            report.add(&format!("processor time of one of these; {many}"), "µs", &mut turn.cpu, None);
        }
        report.add(&format!("the API / a bare handler; {many}"), "×", &mut ratios, None);
        report.add(&format!("processor time of a bare handler / the API; {many}"), "×", &mut cpu_ratios, None);
    }
    Ok(())
}

/// A path, what is sent there, and how long the answer is.
type Call = (&'static str, Bytes, usize);

/// Requests of one kind to one server, again and again.
struct Turn {
    name: &'static str,
    process: u32,
    address: String,
    calls: Vec<(&'static str, Bytes)>,
    /// Requests per second lately.
    expected: f64,
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

impl Turn {
    fn new(name: &'static str, process: u32, address: &str, calls: &[&Call]) -> Self {
        let calls = calls.iter().map(|(path, body, _)| (*path, body.clone())).collect();
        let (rates, cpu) = (Vec::new(), Vec::new());
        Self { name, process, address: address.to_owned(), calls, expected: 5000.0, rates, cpu }
    }

    /// Signs, then sends, from so many connections at once.
    async fn take(&mut self, signer: &Signer, connections: usize, time: Duration, counts: bool) -> Result<()> {
        let wanted = self.expected * time.as_secs_f64() * 2.0 / connections as f64;
        let each = (wanted as usize + 20).min(MOST);
        let signed = |n: usize| {
            let (path, body) = &self.calls[n % self.calls.len()];
            signer.sign(path, body)
        };
        // Every second connection begins with the second call.
        let lists: Vec<Vec<Signed>> = (0..connections).map(|c| (c..c + each).map(signed).collect()).collect();
        let before = processor_time(self.process)?;
        let start = Instant::now();
        let tasks: Vec<_> =
            lists.into_iter().map(|list| tokio::spawn(one(self.address.clone(), list, start + time))).collect();
        let mut done = 0;
        for task in tasks {
            done += task.await??;
        }
        self.expected = done as f64 / start.elapsed().as_secs_f64();
        if counts {
            self.rates.push(self.expected);
            self.cpu.push((processor_time(self.process)? - before) * 1e6 / done as f64);
        }
        Ok(())
    }
}

/// One connection with one request in flight. How many were answered with 200; every one must be.
async fn one(address: String, list: Vec<Signed>, until: Instant) -> Result<usize> {
    let mut sender = connected(&address).await?;
    let mut done = 0;
    for signed in list {
        if Instant::now() >= until {
            break;
        }
        exchanged(&mut sender, signed).await?;
        done += 1;
    }
    Ok(done)
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn connected(address: &str) -> Result<Sender> {
    let stream = tokio::net::TcpStream::connect(address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchanged(sender: &mut Sender, signed: Signed) -> Result<Bytes> {
    let mut request = http::Request::post(signed.path);
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    let response = sender.send_request(request.body(Full::new(signed.body))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{} answered {status}: {}", signed.path, String::from_utf8_lossy(&body));
    Ok(body)
}

async fn asked(address: &str, signed: Signed) -> Result<Value> {
    Ok(serde_json::from_slice(&exchanged(&mut connected(address).await?, signed).await?)?)
}

fn body(value: Value) -> Bytes {
    value.to_string().into()
}

/// `plain PORT MINTED RELEASED`: reads each body and answers with one of so many bytes. HTTP as the host's own server has it.
pub(crate) async fn plain(args: &[String]) -> Result<()> {
    let [port, minted, released] = args else { anyhow::bail!("usage: plain PORT MINTED RELEASED") };
    let answer = |length: &String| anyhow::Ok(Bytes::from(vec![b' '; length.parse()?]));
    let (minted, released) = (answer(minted)?, answer(released)?);
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30)).max_buf_size(64 << 10);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.context("binding")?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (builder, minted, released) = (builder.clone(), minted.clone(), released.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let answer = if request.uri().path() == MINT { minted.clone() } else { released.clone() };
                async move {
                    request.into_body().collect().await?;
                    let response = http::Response::builder()
                        .header("content-type", "application/json")
                        .header("cache-control", "no-store")
                        .header("x-amzn-requestid", "0123456789abcdef0123456789abcdef")
                        .header("x-content-type-options", "nosniff")
                        .body(Full::new(answer));
                    anyhow::Ok(response?)
                }
            });
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
