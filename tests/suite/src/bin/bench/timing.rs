//! Whether the time of an answer tells what exists or how close a guess came (dudect: Reparaz, Balasch and Verbauwhede,
//! "Dude, is my code constant time?", 2017).
//!
//! Two classes of requests are sent by turns that a coin decides. The slowest twentieth of all goes, as it is the
//! machine's, and Welch's t says whether the rest could be of one kind: below 4.5 nothing was found with so many samples,
//! which is no proof. With enough of them everything differs, so the difference of the medians stands beside it: what an
//! attacker over a network would have to see.

use crate::report::Report;
use crate::signed::Signer;
use anyhow::{Context as _, Result, ensure};
use attache::clock::Clock;
use attache::identity::{IssuedWats, PresentedWat};
use attache::ids::fill_random;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;
use suite::browser::Browser;
use suite::clients::key;
use suite::host::component;
use suite::walk;
use suite::world::World;

/// What t must stay below for nothing to have been found.
const AIM: Option<&str> = Some("-4.5 to 4.5");

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    eprintln!("what the time of an answer tells");
    in_this_process(report)?;
    through_a_host(report).await
}

/// A look-up that misses: by a text of which nothing is right, and by one of which all but the last character is.
fn in_this_process(report: &mut Report) -> Result<()> {
    let samples = if report.quick { 50_000 } else { 500_000 };
    let wats = IssuedWats::new(Clock::system());
    let texts = |last: char| -> Result<Vec<PresentedWat>> {
        let near = format!("wat_{}{last}", "A".repeat(42));
        let far = format!("wat_{}{last}", "z".repeat(42));
        Ok(vec![PresentedWat::parse(&far)?, PresentedWat::parse(&near)?])
    };
    let presented = texts('B')?;
    let mut times = Times::default();
    for _ in 0..samples {
        let coin = coin();
        let begun = Instant::now();
        black_box(wats.introspect(black_box(&presented[usize::from(coin)])));
        times.add(coin, begun);
    }
    times.report(report, "a workload access token that misses, far off and by one character");
    Ok(())
}

async fn through_a_host(report: &mut Report) -> Result<()> {
    let samples = if report.quick { 2_000 } else { 20_000 };
    let world = World::start_with(|spec| spec.extra.push_str(crate::NO_RATE)).await?;
    world.host.deploy("hello", &component("hello")?, "bench.example")?;
    let address = world.host.url.trim_start_matches("http://").to_owned();
    let good = world.token("alice").await?;
    // Signed by nobody: everything is looked at but the rules.
    let forged = format!("{}AAAAAAAA", good.get(..good.len() - 8).context("a token")?);
    for (what, token) in [("that is no token", "a.b.c"), ("that is forged", forged.as_str())] {
        let classes = ["no-such-agent", "hello"].map(|agent| {
            let path = format!("/agents/{agent}/invocations");
            Call { path, headers: vec![("authorization", format!("Bearer {token}"))] }
        });
        compare(&address, classes, samples, 401)
            .await?
            .report(report, &format!("a token {what}, refused at an agent that is not there and at one that is"));
    }

    // What does differ has to be seen: one is refused before its signature is looked at.
    let classes = ["a.b.c", forged.as_str()].map(|token| Call {
        path: "/agents/hello/invocations".into(),
        headers: vec![("authorization", format!("Bearer {token}"))],
    });
    let control = compare(&address, classes, samples, 401).await?;
    report.add("t of two refusals that differ, to see that this would be noticed", "", &mut [control.t()], None);

    let mut alice = Browser::new();
    let page = walk::open(&mut alice, &format!("{}/me", world.host.url), "alice").await?;
    ensure!(page.status == 200, "{}", page.body);
    let cookie = alice.cookie("attache-session").context("a cookie of the visit")?;
    let near = format!("{}{}", &cookie.1[..cookie.1.len() - 1], if cookie.1.ends_with('A') { 'Q' } else { 'A' });
    let classes = ["A".repeat(cookie.1.len()), near]
        .map(|value| Call { path: "/me".into(), headers: vec![("cookie", format!("{}={value}", cookie.0))] });
    compare(&address, classes, samples, 303)
        .await?
        .report(report, "a visit's cookie that misses, far off and by one character");

    let made = key(&world, "bench", "operator", "*")?;
    let signer = Signer::new(&made, &address)?;
    let body = Bytes::from(json!({ "name": "nobody" }).to_string());
    let signed = signer.sign("/identities/GetWorkloadIdentity", &body);
    let authorization = &signed.headers[4].1;
    let (start, signature) = authorization.split_once("Signature=").context("a signature")?;
    let flip = |at: usize| {
        let mut text = signature.to_owned();
        let other = if &text[at..=at] == "0" { "1" } else { "0" };
        text.replace_range(at..=at, other);
        format!("{start}Signature={text}")
    };
    let classes = [flip(0), flip(signature.len() - 1)].map(|authorization| {
        let mut headers = signed.headers[..4].to_vec();
        headers.push(("authorization", authorization));
        Call { path: signed.path.into(), headers }
    });
    times_of(&address, classes, samples, &body, 403)
        .await?
        .report(report, "a signature that is wrong in its first and in its last character");
    Ok(())
}

struct Call {
    path: String,
    headers: Vec<(&'static str, String)>,
}

async fn compare(address: &str, classes: [Call; 2], samples: usize, status: u16) -> Result<Times> {
    times_of(address, classes, samples, &Bytes::new(), status).await
}

/// Over one connection, one after the other.
async fn times_of(address: &str, classes: [Call; 2], samples: usize, body: &Bytes, status: u16) -> Result<Times> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut times = Times::default();
    for n in 0..samples + samples / 10 {
        let coin = coin();
        let call = &classes[usize::from(coin)];
        let method = if body.is_empty() { http::Method::GET } else { http::Method::POST };
        let mut request = http::Request::builder().method(method).uri(&call.path);
        if call.headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", address);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body.clone()))?;
        sender.ready().await?;
        let begun = Instant::now();
        let response = sender.send_request(request).await?;
        let answered = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        ensure!(answered == status, "{}: {answered} {}", call.path, String::from_utf8_lossy(&text));
        // The first tenth warms.
        if n >= samples / 10 {
            times.add(coin, begun);
        }
    }
    Ok(times)
}

fn coin() -> bool {
    let mut byte = [0];
    fill_random(&mut byte);
    byte[0] & 1 == 1
}

/// Nanoseconds, by class.
#[derive(Default)]
struct Times([Vec<f64>; 2]);

impl Times {
    fn add(&mut self, class: bool, begun: Instant) {
        self.0[usize::from(class)].push(begun.elapsed().as_nanos() as f64);
    }

    fn report(mut self, report: &mut Report, what: &str) {
        let medians = self.0.each_mut().map(|class| {
            class.sort_by(f64::total_cmp);
            class[class.len() / 2]
        });
        report.add(&format!("t of {what}"), "", &mut [self.t()], AIM);
        report.add(&format!("difference of the medians of {what}"), "ns", &mut [medians[1] - medians[0]], None);
    }

    /// Welch's t, without the slowest twentieth of all.
    fn t(&self) -> f64 {
        let mut all: Vec<f64> = self.0.concat();
        all.sort_by(f64::total_cmp);
        let limit = all[all.len() * 19 / 20];
        let [a, b] = self.0.each_ref().map(|class| {
            let kept: Vec<f64> = class.iter().copied().filter(|time| *time <= limit).collect();
            let count = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / count;
            let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, variance / count)
        });
        (a.0 - b.0) / (a.1 + b.1).sqrt()
    }
}
