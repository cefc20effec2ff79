//! What the tests of the whole host share: real parts, a browser without a screen, a caller, and the story.

pub mod browser;
pub mod call;
pub mod clients;
pub mod flows;
pub mod glewlwyd;
pub mod host;
pub mod html;
pub mod issuer;
pub mod lying;
pub mod operator;
pub mod sigstore;
pub mod story;
pub mod sweep;
pub mod testbed;
pub mod walk;
pub mod world;
