// Harm on request, at one endpoint, a number of times.
//
//   { route: 'token', grant: 'refresh_token', when: 'after', what: 503, times: 1 }
//
// `before` nothing has happened yet; `after` it has, and only the answer is spoilt: a refresh token is rotated and the
// caller does not get the new one. `what`: a status; `cut`, the connection ends; `hold`, it waits for `release`.
export class Faults {
  constructor() {
    this.wanted = [];
    this.held = [];
    this.struck = 0;
  }

  add({ route, grant, when = 'before', what = 503, times = 1 }) {
    this.wanted.push({ route, grant, when, what, left: times });
  }

  // Lets everything go that was held, and forgets what has not struck yet.
  release() {
    this.wanted = [];
    const count = this.held.length;
    for (const go of this.held.splice(0)) go();
    return { released: count };
  }

  // True when the request ends here.
  async strike(ctx, when, route, grant) {
    const fault = this.wanted.find(
      (known) => known.left > 0 && known.when === when && known.route === route && (!known.grant || known.grant === grant),
    );
    if (!fault) return false;
    fault.left -= 1;
    this.struck += 1;
    if (fault.what === 'hold') {
      await new Promise((go) => this.held.push(go));
      return false;
    }
    if (fault.what === 'cut') {
      ctx.respond = false;
      ctx.req.socket.destroy();
    } else {
      ctx.status = fault.what;
      ctx.body = 'out of order';
    }
    return true;
  }
}
