//! A person's browser, as far as signing in and agreeing go: cookies, redirects, forms.
//!
//! Cookies are kept by host and not by port, as browsers do, and `Secure` ones go to 127.0.0.1 without TLS, as they do
//! there. `SameSite` makes no difference between ports of one host, so it is not looked at.

use crate::html::{self, Form};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use url::Url;

/// One person's browser: nothing is shared between two.
pub struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    jar: Vec<Cookie>,
    stops: Vec<String>,
}

struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// What the browser shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it came from, after redirects.
    pub url: Url,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its text.
    pub body: String,
}

impl Page {
    /// The one form whose action contains this.
    ///
    /// # Errors
    /// When there is none; the message shows the page.
    pub fn form(&self, action: &str) -> Result<Form> {
        html::forms(&self.url, &self.body)?
            .into_iter()
            .find(|form| form.action.as_str().contains(action))
            .with_context(|| format!("no form with `{action}` at {} ({}): {}", self.url, self.status, self.body))
    }

    /// A parameter of its URL's query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Its text as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON at {}: {}", self.url, self.body))
    }
}

impl Default for Browser {
    fn default() -> Self {
        Browser::new()
    }
}

impl Browser {
    /// A browser without any cookies.
    pub fn new() -> Browser {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Browser { client, jar: Vec::new(), stops: Vec::new() }
    }

    /// A redirect to a URL that begins with this is not followed: it belongs to an app that nobody runs. The page then
    /// has that URL and the redirect's status.
    #[must_use]
    pub fn stopping_at(mut self, url: impl Into<String>) -> Browser {
        self.stops.push(url.into());
        self
    }

    /// Opens a URL and follows redirects.
    ///
    /// # Errors
    /// When something cannot be reached, or redirects have no end.
    pub async fn get(&mut self, url: &str) -> Result<Page> {
        let url = Url::parse(url).with_context(|| format!("`{url}`"))?;
        self.follow(Method::GET, url, String::new()).await
    }

    /// Sends a form with these fields besides its own, and follows redirects.
    ///
    /// # Errors
    /// As [`Browser::get`].
    pub async fn submit(&mut self, form: &Form, fields: &[(&str, &str)]) -> Result<Page> {
        let own = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all = own.filter(|(name, _)| fields.iter().all(|(other, _)| other != name)).chain(fields.iter().copied());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        if form.post {
            return self.follow(Method::POST, form.action.clone(), query).await;
        }
        let mut url = form.action.clone();
        url.set_query(Some(&query));
        self.follow(Method::GET, url, String::new()).await
    }

    /// Whether there is a cookie of this name for any host.
    pub fn has_cookie(&self, name: &str) -> bool {
        self.jar.iter().any(|cookie| cookie.name == name)
    }

    /// Name and value of the one cookie whose name ends so.
    pub fn cookie(&self, name: &str) -> Option<(String, String)> {
        let mut found = self.jar.iter().filter(|cookie| cookie.name.ends_with(name));
        found.next().map(|cookie| (cookie.name.clone(), cookie.value.clone()))
    }

    async fn follow(&mut self, mut method: Method, mut url: Url, mut form: String) -> Result<Page> {
        for _ in 0..20 {
            let page = self.step(&method, url, &form).await?;
            let (true, Some(location)) = (page.status.is_redirection(), page.headers.get(LOCATION)) else {
                return Ok(page);
            };
            let location = location.to_str().context("a redirect that is not text")?;
            let next = page.url.join(location).with_context(|| format!("redirect to `{location}`"))?;
            if self.stops.iter().any(|stop| next.as_str().starts_with(stop)) {
                return Ok(Page { url: next, ..page });
            }
            if ![StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&page.status) {
                (method, form) = (Method::GET, String::new());
            }
            url = next;
        }
        bail!("redirects without end, last to {url}")
    }

    async fn step(&mut self, method: &Method, url: Url, form: &str) -> Result<Page> {
        ensure!(url.scheme() == "http", "`{url}` is not on this machine");
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Some(cookies) = self.cookies(&url) {
            request = request.header(COOKIE, cookies);
        }
        if method == Method::POST {
            let origin = url.origin().ascii_serialization();
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header("origin", origin);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(form.as_bytes())))?;
        let response = self.client.request(request).await.with_context(|| format!("{method} {url}"))?;
        let (head, body) = response.into_parts();
        for cookie in head.headers.get_all(SET_COOKIE) {
            self.keep(&url, cookie.to_str().context("a cookie that is not text")?);
        }
        let body = body.collect().await.with_context(|| format!("{method} {url}"))?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Page { url, status: head.status, headers: head.headers, body })
    }

    fn cookies(&self, url: &Url) -> Option<String> {
        let sent: Vec<String> = self
            .jar
            .iter()
            .filter(|cookie| Some(cookie.host.as_str()) == url.host_str() && covers(&cookie.path, url.path()))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!sent.is_empty()).then(|| sent.join("; "))
    }

    /// RFC 6265 §5.3, without domains.
    fn keep(&mut self, url: &Url, header: &str) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut path = url.path().rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
        let (mut secure, mut gone) = (false, false);
        for part in parts {
            let (attribute, text) = part.split_once('=').unwrap_or((part, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "path" if text.starts_with('/') => path = text.to_owned(),
                "max-age" => gone = text.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                "expires" => gone |= text.contains(" 1970 ") || text.contains("-1970 "),
                "secure" => secure = true,
                _ => {}
            }
        }
        if name.starts_with("__Host-") && !(secure && path == "/") {
            return; // Browsers refuse it.
        }
        let path = if path.is_empty() { "/".into() } else { path };
        self.jar.retain(|known| (&known.host, &known.path, known.name.as_str()) != (&host, &path, name));
        if !gone {
            self.jar.push(Cookie { host, path, name: name.into(), value: value.into() });
        }
    }
}

/// RFC 6265 §5.1.4.
fn covers(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set: &[&str], to: &str) -> Option<String> {
        let mut browser = Browser::new();
        for cookie in set {
            browser.keep(&Url::parse("http://127.0.0.1:1/a/b").unwrap(), cookie);
        }
        browser.cookies(&Url::parse(to).unwrap())
    }

    #[test]
    fn a_cookie_goes_where_a_browser_sends_it() {
        let same = "http://127.0.0.1:2/a/c";
        assert_eq!(sent(&["x=1; Path=/; Secure; HttpOnly"], same).as_deref(), Some("x=1"));
        assert_eq!(sent(&["x=1"], same).as_deref(), Some("x=1"));
        assert_eq!(sent(&["x=1"], "http://127.0.0.1:1/ab"), None);
        assert_eq!(sent(&["x=1; path=/"], "http://127.0.0.2:1/"), None);
        assert_eq!(sent(&["x=1; path=/", "x=2; path=/"], same).as_deref(), Some("x=2"));
        assert_eq!(sent(&["x=1; path=/", "x=; path=/; max-age=0"], same), None);
        assert_eq!(sent(&["x=1; path=/", "x=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT"], same), None);
    }

    #[test]
    fn a_host_cookie_that_a_browser_would_refuse_is_refused() {
        let same = "http://127.0.0.1:1/";
        assert_eq!(sent(&["__Host-s=1; Path=/; Secure"], same).as_deref(), Some("__Host-s=1"));
        assert_eq!(sent(&["__Host-s=1; Path=/"], same), None);
        assert_eq!(sent(&["__Host-s=1; Path=/a; Secure"], same), None);
    }
}
