"""A person's browser, as far as signing in and agreeing go: cookies by host, redirects, forms.

`Secure` cookies go to 127.0.0.1 without TLS, as browsers do; that is why this is not a session of `requests`.
"""

import http.client
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit


class Forms(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.forms.append((attrs.get("action", ""), {}))
        if tag == "input" and self.forms and attrs.get("type") == "hidden":
            self.forms[-1][1][attrs["name"]] = attrs.get("value", "")


class Browser:
    """One person's. A redirect to a URL that begins with `stops` is not followed: it is an app's that nobody runs."""

    def __init__(self, user, stops):
        self.user = user
        self.stops = stops
        self.jar = {}

    def request(self, method, url, fields=None):
        """Follows redirects. (url, status, text) of what is shown then."""
        for _ in range(20):
            if url.startswith(self.stops):
                return url, 302, ""
            at = urlsplit(url)
            connection = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
            path = at.path + (f"?{at.query}" if at.query else "")
            headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())}
            if method == "POST":
                headers["content-type"] = "application/x-www-form-urlencoded"
                headers["origin"] = f"{at.scheme}://{at.netloc}"
            connection.request(method, path, urlencode(fields or {}) if method == "POST" else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            for cookie in answer.headers.get_all("set-cookie") or []:
                name, _, value = cookie.split(";")[0].partition("=")
                self.jar.pop(name.strip(), None) if "max-age=0" in cookie.lower() else self.jar.update({name.strip(): value})
            connection.close()
            if answer.status not in (301, 302, 303, 307, 308):
                return url, answer.status, text
            url, method, fields = urljoin(url, answer.headers["location"]), "GET", None
        raise AssertionError(f"redirects have no end: {url}")

    def consent(self, link):
        """Opens a link, signs in where asked, agrees where asked. Where it ends: (url, parameters, status, text)."""
        shown = self.request("GET", link)
        for _ in range(12):
            url, status, text = shown
            parser = Forms()
            parser.feed(text)
            step = next((form for form in parser.forms if any(part in form[0] for part in ("/login", "/confirm", "/consent/"))), None)
            if step is None or status >= 400:
                return url, {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}, status, text
            action, fields = step
            if "/login" in action:
                fields = {**fields, "login": self.user}
            shown = self.request("POST", urljoin(url, action), fields)
        raise AssertionError(f"the pages have no end: {shown}")
