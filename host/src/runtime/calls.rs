//! The interfaces of `attache:identity`, for guests. Each call is parsed, handed to the broker and answered; nothing is
//! decided here.

use super::instance::Instance;
use crate::broker::{Acquire, Acquired, Flow, Kind, Refusal, Wishes};
use crate::ids::CredentialId;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};

mod wit {
    #![allow(missing_docs, unreachable_pub, reason = "generated from `wit/`, which is documented")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "attache:identity/revealing-agent",
        imports: {
            "attache:identity/credentials.oauth2": async | trappable,
            "attache:identity/credentials.api-key": async | trappable,
            "attache:identity/reveal.bytes": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        require_store_data_send: true,
        with: {
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:random": wasmtime_wasi::p2::bindings::random,
            "wasi:cli": wasmtime_wasi::p2::bindings::cli,
            "attache:identity/credentials.credential": super::Credential,
        },
    });
}

use wit::attache::identity::{credentials, identity, reveal};

/// Behind a handle: the right to use a credential, never the credential.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Credential {
    pub(super) id: CredentialId,
    provider: String,
    scopes: Vec<String>,
    expires_at: Option<u64>,
}

impl From<Acquired> for Credential {
    fn from(acquired: Acquired) -> Self {
        let Acquired { id, provider, scopes, expires_at } = acquired;
        Self { id, provider, scopes, expires_at }
    }
}

/// Interfaces that are linked, each with the versions that are compatible with ours. What is not here is refused by
/// name before anything runs.
pub(super) const OFFERED: &[(&str, &str)] = &[
    ("attache:identity/credentials", "0.1"),
    ("attache:identity/identity", "0.1"),
    ("attache:identity/reveal", "0.1"),
    ("wasi:cli/environment", "0.2"),
    ("wasi:cli/exit", "0.2"),
    ("wasi:cli/stderr", "0.2"),
    ("wasi:cli/stdin", "0.2"),
    ("wasi:cli/stdout", "0.2"),
    ("wasi:cli/terminal-input", "0.2"),
    ("wasi:cli/terminal-output", "0.2"),
    ("wasi:cli/terminal-stderr", "0.2"),
    ("wasi:cli/terminal-stdin", "0.2"),
    ("wasi:cli/terminal-stdout", "0.2"),
    ("wasi:clocks/monotonic-clock", "0.2"),
    ("wasi:clocks/wall-clock", "0.2"),
    ("wasi:filesystem/preopens", "0.2"),
    ("wasi:filesystem/types", "0.2"),
    ("wasi:http/outgoing-handler", "0.2"),
    ("wasi:http/types", "0.2"),
    ("wasi:io/error", "0.2"),
    ("wasi:io/poll", "0.2"),
    ("wasi:io/streams", "0.2"),
    ("wasi:random/insecure", "0.2"),
    ("wasi:random/insecure-seed", "0.2"),
    ("wasi:random/random", "0.2"),
];

/// Everything that is [`OFFERED`]; `reveal` only where asked for.
pub(super) fn link(engine: &wasmtime::Engine, reveal: bool) -> wasmtime::Result<Linker<Instance>> {
    use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    // io, both clocks, random, standard streams, and http.
    wasmtime_wasi_http::p2::add_to_linker_async(l)?;
    // What std imports besides. There is no directory to open, no variable to read and no terminal.
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, Instance::filesystem)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, Instance::filesystem)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, Instance::cli)?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, |i| i.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |i| i.ctx().ctx.random())?;
    super::heads::bound(l)?;

    identity::add_to_linker::<_, HasSelf<_>>(l, |i| i)?;
    credentials::add_to_linker::<_, HasSelf<_>>(l, |i| i)?;
    if reveal {
        reveal::add_to_linker::<_, HasSelf<_>>(l, |i| i)?;
    }
    Ok(linker)
}

impl identity::Host for Instance {
    fn workload(&mut self) -> wasmtime::Result<identity::WorkloadIdentity> {
        fault_point!("runtime.calls.workload");
        let crate::broker::WorkloadFacts { id, name, digest } = self.facts.workload.clone();
        Ok(identity::WorkloadIdentity { id, name, digest })
    }

    fn user(&mut self) -> wasmtime::Result<Option<identity::VerifiedUser>> {
        fault_point!("runtime.calls.user");
        let user = self.facts.user.clone();
        Ok(user.map(|user| identity::VerifiedUser { issuer: user.issuer, subject: user.subject }))
    }

    fn claim(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        fault_point!("runtime.calls.claim");
        Ok(self.facts.claims.get(&name).cloned())
    }
}

type Answer<T> = wasmtime::Result<Result<T, credentials::Error>>;

impl credentials::Host for Instance {
    async fn oauth2(&mut self, request: credentials::Oauth2Request) -> Answer<Resource<Credential>> {
        fault_point!("runtime.calls.oauth2");
        let flow = match request.flow {
            credentials::Flow::UserFederation => Flow::UserFederation,
            credentials::Flow::MachineToMachine => Flow::MachineToMachine,
            credentials::Flow::OnBehalfOf => Flow::OnBehalfOf,
        };
        let wishes = Wishes {
            resources: request.resources,
            audiences: request.audiences,
            custom_parameters: request.custom_parameters,
            force_authentication: request.force_authentication,
            custom_state: request.custom_state,
            return_url: None,
        };
        let kind = Kind::Oauth2 { scopes: request.scopes, flow, wishes };
        self.acquire(Acquire { provider: request.provider, kind }).await
    }

    async fn api_key(&mut self, provider: String) -> Answer<Resource<Credential>> {
        fault_point!("runtime.calls.api-key");
        self.acquire(Acquire { provider, kind: Kind::ApiKey }).await
    }
}

impl Instance {
    async fn acquire(&mut self, ask: Acquire) -> Answer<Resource<Credential>> {
        match self.door.broker.acquire(&self.door.wat, ask).await {
            Ok(acquired) => Ok(Ok(self.table.push(Credential::from(acquired))?)),
            Err(refusal) => Ok(Err(convert_error(refusal))),
        }
    }
}

impl credentials::HostCredential for Instance {
    fn provider(&mut self, credential: Resource<Credential>) -> wasmtime::Result<String> {
        fault_point!("runtime.calls.provider");
        Ok(self.table.get(&credential)?.provider.clone())
    }

    fn scopes(&mut self, credential: Resource<Credential>) -> wasmtime::Result<Vec<String>> {
        fault_point!("runtime.calls.scopes");
        Ok(self.table.get(&credential)?.scopes.clone())
    }

    fn expires_at(&mut self, credential: Resource<Credential>) -> wasmtime::Result<Option<u64>> {
        fault_point!("runtime.calls.expires-at");
        Ok(self.table.get(&credential)?.expires_at)
    }

    fn send(
        &mut self,
        credential: Resource<Credential>,
        request: Resource<HostOutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> Answer<Resource<HostFutureIncomingResponse>> {
        fault_point!("runtime.calls.send");
        let mut sender = self.sender(self.table.get(&credential)?);
        let future = match self.sending(&mut sender).handle(request, options) {
            Ok(future) => future,
            Err(error) => {
                let code = error.downcast()?;
                return Ok(Err(credentials::Error::InvalidRequest(format!("it cannot be sent: `{code:?}`"))));
            }
        };
        let Some(refusal) = sender.refused else { return Ok(Ok(future)) };
        self.table.delete(future)?;
        Ok(Err(convert_error(refusal)))
    }

    fn drop(&mut self, credential: Resource<Credential>) -> wasmtime::Result<()> {
        fault_point!("runtime.calls.drop");
        let credential = self.table.delete(credential)?;
        self.door.broker.release(&self.door.wat, credential.id);
        Ok(())
    }
}

impl reveal::Host for Instance {
    async fn bytes(&mut self, credential: Resource<Credential>) -> Answer<Vec<u8>> {
        fault_point!("runtime.calls.reveal");
        let id = self.table.get(&credential)?.id;
        let revealed = self.door.broker.reveal(&self.door.wat, id).await;
        Ok(revealed.map(|revealed| revealed.0).map_err(convert_error))
    }
}

/// The one place where a refusal becomes what a guest can branch on.
fn convert_error(refusal: Refusal) -> credentials::Error {
    use credentials::Error;
    match refusal {
        Refusal::ConsentRequired { authorization_url, session_uri, expires_at } => {
            Error::ConsentRequired(credentials::Consent { authorization_url, session_uri, expires_at })
        }
        Refusal::Denied(reason) => Error::Denied(reason),
        Refusal::InsufficientScopes(missing) => Error::InsufficientScopes(missing),
        Refusal::NotConfigured(reason) => Error::NotConfigured(reason),
        Refusal::ProviderRefused(reason) => Error::ProviderRefused(reason),
        Refusal::SignInRequired(reason) => Error::SignInRequired(reason),
        Refusal::Unavailable(reason) => Error::Unavailable(reason),
        Refusal::InvalidRequest(reason) => Error::InvalidRequest(reason),
        ended @ Refusal::NotBound => Error::Unavailable(ended.to_string()),
    }
}
