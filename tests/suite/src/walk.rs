//! What a person does in a browser: sign in where asked, agree where asked.

use crate::browser::{Browser, Page};
use anyhow::{Result, bail};

/// Opens a URL and goes on as `user`: signs in at any provider that asks, agrees to what any provider asks, and goes on
/// from the host's own consent page. Returns the page that has nothing left to fill in.
pub async fn open(browser: &mut Browser, url: &str, user: &str) -> Result<Page> {
    let page = browser.get(url).await?;
    on(browser, page, user).await
}

/// As [`open`], from a page that is open already.
pub async fn on(browser: &mut Browser, mut page: Page, user: &str) -> Result<Page> {
    for _ in 0..4 {
        page = browser.as_user(page, user).await?;
        match page.form("/consent/") {
            Ok(form) if page.status.is_success() => page = browser.submit(&form, &[]).await?,
            _ => return Ok(page),
        }
    }
    bail!("the host keeps asking, last at {}: {}", page.url, page.body)
}
