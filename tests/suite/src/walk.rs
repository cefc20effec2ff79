//! What a person does in a browser: sign in where asked, agree where asked.

use crate::browser::{Browser, Page};
use anyhow::{Result, bail, ensure};

/// Goes on as `user` until a page has nothing left to fill in: signs in at any provider that asks, agrees to what any
/// provider asks, and goes on from the host's own consent page. Stops early at a URL that starts with `stop`.
pub async fn walk(browser: &mut Browser, mut page: Page, user: &str, stop: Option<&str>) -> Result<Page> {
    for _ in 0..12 {
        if stop.is_some_and(|s| page.url.as_str().starts_with(s)) {
            return Ok(page);
        }
        let forms = page.forms();
        let Some(form) = forms.iter().find(|form| {
            form.fields.iter().any(|(name, value)| name == "login" || name == "prompt" && value == "consent")
                || form.action.path().starts_with("/consent/")
        }) else {
            return Ok(page);
        };
        let login = form.fields.iter().any(|(name, _)| name == "login");
        ensure!(page.status.is_success(), "{} answered {}:\n{}", page.url, page.status, page.text);
        let fields: &[(&str, &str)] = if login { &[("login", user), ("password", "any")] } else { &[] };
        page = browser.submit_until(form, fields, stop).await?;
    }
    bail!("still forms to fill in at {} after twelve pages:\n{}", page.url, page.text)
}

/// Opens a URL and walks on from it.
pub async fn open(browser: &mut Browser, url: &str, user: &str) -> Result<Page> {
    let page = browser.get(url).await?;
    walk(browser, page, user, None).await
}
