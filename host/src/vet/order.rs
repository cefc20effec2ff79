//! A submission as it goes to the process that reads it, and the report as it comes back: what is judged there is bytes of
//! strangers, so whoever asks gives it away whole and takes text.

use super::{
    Advisories, Evidence, PROFILES, Policy, PolicyError, Report, Submission, Trust, TrustError, TrustFile, Verdict,
};
use serde::{Deserialize, Serialize};

/// In which form the report comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// For a person at a terminal.
    Text,
    /// By the published schema.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// For the comment of a pipeline.
    Markdown,
}

impl Form {
    /// A report in this form.
    pub fn of(self, report: &Report) -> String {
        match self {
            Self::Text => super::text(report),
            Self::Markdown => super::markdown(report),
            Self::Json => serde_json::json!(report).to_string(),
            Self::Sarif => super::sarif(report).to_string(),
        }
    }
}

/// What is judged, and by which rules. The bytes go beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What the report calls the component.
    pub file: String,
    /// One of the profiles, or a policy in TOML.
    pub policy: String,
    /// `sha256:…` of the manifest in a registry.
    pub manifest: Option<String>,
    /// What was found beside the component.
    pub evidence: Vec<Evidence>,
    /// A trust file.
    pub trust: Option<TrustFile>,
    /// What is known of packages.
    pub advisories: Option<Advisories>,
    /// What comes back.
    pub form: Form,
}

/// Why there is no order to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The rules.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The keys.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Cut short.
    #[error("the order to judge a component is cut short")]
    Cut,
}

/// A profile by its name, or a policy as text.
///
/// # Errors
/// [`PolicyError`].
pub fn policy_of(text: &str) -> Result<Policy, PolicyError> {
    match PROFILES.iter().any(|(name, _)| *name == text) {
        true => Policy::profile(text).ok_or_else(|| PolicyError::Unreadable("a profile is broken".into())),
        false => Policy::parse(text),
    }
}

impl Order {
    /// What stands before the bytes: the order, the length of the component, and whether a version before follows it.
    pub fn head(&self, component: usize, before: bool) -> Vec<u8> {
        let order = serde_json::json!(self).to_string();
        let mut head = (order.len() as u64).to_be_bytes().to_vec();
        head.extend_from_slice(order.as_bytes());
        head.extend_from_slice(&(component as u64).to_be_bytes());
        head.push(u8::from(before));
        head
    }

    /// Carries an order out that [`Order::head`] began: the verdict, and the report in the form that was asked for.
    ///
    /// # Errors
    /// [`OrderError`]: the rules or keys are none.
    pub fn carried_out(whole: &[u8]) -> Result<(Verdict, String), OrderError> {
        let length = |bytes: &[u8; 8]| usize::try_from(u64::from_be_bytes(*bytes)).ok();
        let part = || {
            let (order, rest) = whole.split_first_chunk::<8>()?;
            let (order, rest) = rest.split_at_checked(length(order)?)?;
            let (component, rest) = rest.split_first_chunk::<8>()?;
            let (before, rest) = rest.split_first()?;
            let (component, rest) = rest.split_at_checked(length(component)?)?;
            let order: Self = serde_json::from_slice(order).ok()?;
            Some((order, component, (*before == 1).then_some(rest)))
        };
        let (order, bytes, before) = part().ok_or(OrderError::Cut)?;
        let policy = policy_of(&order.policy)?;
        let trust = order.trust.as_ref().map(Trust::parse).transpose()?.unwrap_or_default();
        let submission = Submission {
            file: &order.file,
            bytes,
            before,
            manifest: order.manifest.as_deref(),
            evidence: &order.evidence,
            trust: &trust,
            advisories: order.advisories.as_ref(),
        };
        let report = super::judge(&submission, &policy);
        Ok((report.verdict, order.form.of(&report)))
    }
}
