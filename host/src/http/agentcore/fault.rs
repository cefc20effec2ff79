//! What is said outside when a call is not done: the exceptions of Amazon's models, each with its status.
//!
//! `x-amzn-ErrorType` names the exception and the body says why in `message`; clients raise what the header names.

use crate::access::{Forbidden, Refused};
use crate::operations::{Class, FieldProblem, OperationError};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

/// An exception of the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::http) enum Kind {
    AccessDenied,
    ConcurrentModification,
    Conflict,
    DecryptionFailure,
    EncryptionFailure,
    Internal,
    NotFound,
    ResourceLimitExceeded,
    RetryableConflict,
    RuntimeClient,
    ServiceQuotaExceeded,
    Throttling,
    Unauthorized,
    Validation,
}

impl Kind {
    #[cfg(test)]
    pub(super) const ALL: &[Self] = &[
        Self::AccessDenied,
        Self::ConcurrentModification,
        Self::Conflict,
        Self::DecryptionFailure,
        Self::EncryptionFailure,
        Self::Internal,
        Self::NotFound,
        Self::ResourceLimitExceeded,
        Self::RetryableConflict,
        Self::RuntimeClient,
        Self::ServiceQuotaExceeded,
        Self::Throttling,
        Self::Unauthorized,
        Self::Validation,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::ConcurrentModification => "ConcurrentModificationException",
            Self::Conflict => "ConflictException",
            Self::DecryptionFailure => "DecryptionFailure",
            Self::EncryptionFailure => "EncryptionFailure",
            Self::Internal => "InternalServerException",
            Self::NotFound => "ResourceNotFoundException",
            Self::ResourceLimitExceeded => "ResourceLimitExceededException",
            Self::RetryableConflict => "RetryableConflictException",
            Self::RuntimeClient => "RuntimeClientError",
            Self::ServiceQuotaExceeded => "ServiceQuotaExceededException",
            Self::Throttling => "ThrottlingException",
            Self::Unauthorized => "UnauthorizedException",
            Self::Validation => "ValidationException",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Validation | Self::DecryptionFailure | Self::EncryptionFailure | Self::ResourceLimitExceeded => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ServiceQuotaExceeded => StatusCode::PAYMENT_REQUIRED,
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict | Self::ConcurrentModification | Self::RetryableConflict => StatusCode::CONFLICT,
            Self::RuntimeClient => StatusCode::FAILED_DEPENDENCY,
            Self::Throttling => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// One refusal.
#[derive(Debug)]
pub(in crate::http) struct Fault {
    exception: &'static str,
    status: StatusCode,
    message: String,
    /// Only in a `ValidationException`.
    invalid: Option<(Reason, Vec<FieldProblem>)>,
    retry_after: Option<u32>,
    challenge: Option<Box<HeaderValue>>,
}

/// `reason` of a `ValidationException`.
#[derive(Clone, Copy, Debug)]
enum Reason {
    CannotParse,
    FieldValidationFailed,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::CannotParse => "CannotParse",
            Self::FieldValidationFailed => "FieldValidationFailed",
        }
    }
}

impl Fault {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            exception: kind.name(),
            status: kind.status(),
            message: message.into(),
            invalid: None,
            retry_after: None,
            challenge: None,
        }
    }

    /// The body cannot be read at all.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self { invalid: Some((Reason::CannotParse, Vec::new())), ..Self::new(Kind::Validation, message) }
    }

    /// The body is over the cap. No model knows a status for this; 413 would be no exception of theirs.
    pub(super) fn too_large(max: u64) -> Self {
        Self::unreadable(format!("the body is too large; send at most {max} bytes"))
    }

    /// These fields do not fit.
    pub(super) fn invalid(fields: Vec<FieldProblem>) -> Self {
        OperationError::Invalid(fields).into()
    }

    /// An operation of Amazon's that this host does not have.
    pub(super) fn not_offered(operation: &str) -> Self {
        let message = format!("`{operation}` is not offered by this host; see `/openapi.json` for what is");
        Self { invalid: Some((Reason::FieldValidationFailed, Vec::new())), ..Self::new(Kind::Validation, message) }
    }

    /// With what tells a client how to come with a token (RFC 9728 §5.1).
    pub(super) fn challenging(mut self, challenge: Option<HeaderValue>) -> Self {
        self.challenge = challenge.map(Box::new);
        self
    }

    /// A user's token was refused at an agent.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthorized, message)
    }
}

impl From<OperationError> for Fault {
    fn from(error: OperationError) -> Self {
        let message = error.to_string();
        match (error.class(), error) {
            (Class::Invalid | Class::NotOffered, error) => Self {
                invalid: Some((Reason::FieldValidationFailed, error.fields())),
                ..Self::new(Kind::Validation, message)
            },
            (Class::Denied, _) => Self::new(Kind::AccessDenied, message),
            (Class::NotFound, _) => Self::new(Kind::NotFound, message),
            (Class::Conflict, _) => Self::new(Kind::Conflict, message),
            (Class::Quota, _) => Self::new(Kind::ServiceQuotaExceeded, message),
            (Class::Throttled, error) => {
                let retry_after = match error {
                    OperationError::Throttled { retry_after, .. } => retry_after,
                    _ => 1,
                };
                Self { retry_after: Some(retry_after), ..Self::new(Kind::Throttling, message) }
            }
            (Class::Agent, _) => Self::new(Kind::RuntimeClient, message),
            (Class::Unavailable, error) => {
                tracing::error!(error = %crate::audit::with_cause(&error), "an operation could not be done");
                let message = "this cannot be done now, and nothing was; try again in a moment";
                Self { retry_after: Some(5), ..Self::new(Kind::Internal, message) }
            }
        }
    }
}

impl From<Forbidden> for Fault {
    fn from(error: Forbidden) -> Self {
        OperationError::from(error).into()
    }
}

impl From<Refused> for Fault {
    fn from(error: Refused) -> Self {
        let exception = error.exception();
        let status = match exception {
            "UnauthorizedException" => StatusCode::UNAUTHORIZED,
            "InternalServerException" => StatusCode::INTERNAL_SERVER_ERROR,
            // As Amazon's services answer a signature that they do not accept.
            _ => StatusCode::FORBIDDEN,
        };
        Self { exception, status, ..Self::new(Kind::AccessDenied, error.to_string()) }
    }
}

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut body = json!({ "message": self.message });
        if let Some((reason, fields)) = self.invalid {
            let fields: Vec<_> =
                fields.into_iter().map(|field| json!({ "name": field.name, "message": field.message })).collect();
            body["reason"] = reason.name().into();
            body["fieldList"] = fields.into();
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(ERROR_TYPE, HeaderValue::from_static(self.exception));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(http::header::WWW_AUTHENTICATE, *challenge);
        }
        response
    }
}
