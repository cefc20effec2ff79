//! `[host]`, `[tls]`, `[proxy]`, `[network]` and `[engine]`.

use super::file::{self, At};
use super::problems::Problems;
use super::quantity::{Count, Size};
use super::{Context, Proxy, TlsFiles, on_loopback, url};
use crate::egress::ClientConfig;
use crate::ids::{Account, TrustDomain};
use crate::runtime::{CompileLimits, EngineConfig};
use crate::workers::WorkerLimits;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// What the first three tables say.
pub(super) struct Hosting {
    pub(super) listen: SocketAddr,
    pub(super) public_url: Url,
    pub(super) data_dir: PathBuf,
    pub(super) head_file: Option<PathBuf>,
    pub(super) trust_domain: TrustDomain,
    pub(super) account: Account,
    pub(super) tls: Option<TlsFiles>,
    pub(super) proxy: Option<Proxy>,
    pub(super) max_body_bytes: u64,
    pub(super) send_timeout: Duration,
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8443);
const DEFAULT_MAX_BODY: u64 = 1 << 20;
const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn convert(
    context: &Context<'_>,
    host: At<file::Host>,
    tls: Option<At<file::Tls>>,
    proxy: Option<At<file::Proxy>>,
    problems: &mut Problems<'_>,
) -> Option<Hosting> {
    let here = host.span();
    let host = host.into_inner();
    let listen = host.listen.as_ref().map_or(Some(DEFAULT_LISTEN), |text| {
        let address = text.get_ref();
        let parsed = address.parse().map_err(|_| {
            format!(
                "`{}` is no address to listen on; write one such as `127.0.0.1:8443` or `[::]:443`",
                address.escape_debug()
            )
        });
        problems.take(&text.span(), parsed)
    });
    let public_url = problems.take(&host.public_url.span(), origin(context, host.public_url.get_ref()));
    let trust_domain = match &host.trust_domain {
        Some(text) => problems.take(&text.span(), TrustDomain::parse(text.get_ref())),
        None => public_url.as_ref().and_then(|url| {
            let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).replace(':', "-");
            problems.take(&here, TrustDomain::parse(&name))
        }),
    };
    let account = match &host.account {
        Some(text) => problems.take(&text.span(), Account::parse(text.get_ref())),
        None => Account::parse("default").ok(),
    };
    let tls_files = tls.as_ref().map(|tls| TlsFiles {
        certificate: context.base.join(&tls.get_ref().certificate),
        key: context.base.join(&tls.get_ref().key),
    });
    let trusted = proxy.as_ref().filter(|proxy| proxy.get_ref().trusted);
    if let (Some(tls), Some(_)) = (&tls, trusted) {
        problems.at(&tls.span(), "`[tls]` and a trusted `[proxy]` exclude each other; keep the one that ends TLS");
    }
    let over_tls = public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    if tls.is_none() && trusted.is_none() && over_tls {
        problems.at(&here, "tokens must not travel in the clear: add `[tls]` with `certificate` and `key`, or `[proxy]` with `trusted = true` if a proxy ends TLS");
    }
    if let (true, Some(listen)) = (context.development, listen)
        && !listen.ip().is_loopback()
    {
        problems.at(
            &here,
            format!("`allow_loopback` is for development on this machine; listen on loopback instead of `{listen}`"),
        );
    }
    let proxy = trusted.map(|proxy| Proxy {
        client_address_header: proxy.get_ref().client_address_header.as_ref().and_then(|name| {
            let parsed =
                name.get_ref().parse().map_err(|_| format!("`{}` is no header name", name.get_ref().escape_debug()));
            problems.take(&name.span(), parsed)
        }),
    });
    Some(Hosting {
        listen: listen?,
        public_url: public_url?,
        data_dir: context.base.join(host.data_dir.unwrap_or_else(|| ".attache".into())),
        head_file: host.head_file.map(|path| context.base.join(path)),
        trust_domain: trust_domain?,
        account: account?,
        tls: tls_files,
        proxy,
        max_body_bytes: host.max_body_bytes.map_or(DEFAULT_MAX_BODY, |size| size.0),
        send_timeout: host.send_timeout.map_or(DEFAULT_SEND_TIMEOUT, |span| span.0),
    })
}

/// An origin without a path: pages, callbacks and cookies hang off its root.
fn origin(context: &Context<'_>, text: &str) -> Result<Url, String> {
    let url = url(context, text)?;
    if url.path() != "/" || url.query().is_some() {
        return Err(format!(
            "`public_url` must be an origin without a path or query, such as `{}`",
            url.origin().ascii_serialization()
        ));
    }
    if url.host().is_some_and(|host| matches!(host, url::Host::Ipv4(ip) if ip.is_unspecified())) {
        return Err("`public_url` must be an address that browsers can open".to_owned());
    }
    if on_loopback(&url) && !context.development {
        return Err(format!("`{url}` is this machine only; that needs `allow_loopback = true` under `[development]`"));
    }
    Ok(url)
}

pub(super) fn network(context: &Context<'_>, network: file::Network) -> ClientConfig {
    let mut config = if context.development { ClientConfig::development() } else { ClientConfig::production() };
    config.extra_roots = network.extra_roots.iter().map(|path| context.base.join(path)).collect();
    if let Some(span) = network.connect_timeout {
        config.connect_timeout = span.0;
    }
    if let Some(span) = network.total_timeout {
        config.total_timeout = span.0;
    }
    config
}

/// The workers in which guests run; none where they run in the host's own process.
pub(super) fn workers(engine: &file::Engine) -> Option<WorkerLimits> {
    let standard = WorkerLimits::default();
    let limits = WorkerLimits {
        workers: engine.max_workers.map_or(standard.workers, |count| count.0),
        instances: engine.worker_instances.map_or(standard.instances, |count| count.0),
        idle: engine.worker_idle.as_ref().map_or(standard.idle, |span| span.0),
    };
    (engine.isolation == file::Isolation::Process).then_some(limits)
}

/// How components are compiled; none in the host's own process.
pub(super) fn compiling(engine: &file::Engine) -> Option<CompileLimits> {
    let standard = CompileLimits::default();
    let limits = CompileLimits {
        time: engine.compile_time.as_ref().map_or(standard.time, |span| span.0),
        memory_bytes: engine.compile_memory.as_ref().map_or(standard.memory_bytes, |size| size.0),
    };
    (engine.compile == file::Compile::Apart).then_some(limits)
}

pub(super) fn engine(engine: file::Engine) -> EngineConfig {
    let standard = EngineConfig::default();
    EngineConfig {
        max_instances: engine.max_instances.map_or(standard.max_instances, |count| count.0),
        admission_wait: engine.admission_wait.map_or(standard.admission_wait, |span| span.0),
        deadline: engine.deadline.map_or(standard.deadline, |span| span.0),
        tick: engine.tick.map_or(standard.tick, |span| span.0),
        clock_resolution: engine.clock_resolution.map_or(standard.clock_resolution, |span| span.0),
        max_memory_bytes: engine.max_memory.map_or(standard.max_memory_bytes, Size::bytes),
        max_memories: engine.max_memories.map_or(standard.max_memories, |count| count.0),
        max_table_elements: engine.max_table_elements.map_or(standard.max_table_elements, Count::number),
        max_tables: engine.max_tables.map_or(standard.max_tables, |count| count.0),
        max_core_instances: engine.max_core_instances.map_or(standard.max_core_instances, |count| count.0),
        max_stack_bytes: engine.max_stack.map_or(standard.max_stack_bytes, Size::bytes),
        max_component_bytes: engine.max_component.map_or(standard.max_component_bytes, Size::bytes),
        hostcall_bytes: engine.hostcall_bytes.map_or(standard.hostcall_bytes, Size::bytes),
        max_handles: engine.max_handles.map_or(standard.max_handles, Count::number),
        max_requests: engine.max_requests.map_or(standard.max_requests, Count::number),
        header_bytes: engine.header_bytes.map_or(standard.header_bytes, Size::bytes),
        body_chunk_bytes: engine.body_chunk_bytes.map_or(standard.body_chunk_bytes, Size::bytes),
        body_chunks: engine.body_chunks.map_or(standard.body_chunks, Count::number),
        random_bytes: engine.random_bytes.map_or(standard.random_bytes, |size| size.0),
        log_bytes: engine.log_bytes.map_or(standard.log_bytes, Size::bytes),
        keep_resident_bytes: engine.keep_resident_bytes.map_or(standard.keep_resident_bytes, Size::bytes),
    }
}
