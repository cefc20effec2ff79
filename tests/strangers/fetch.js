import { handle } from 'wasi:http/outgoing-handler@0.2.12';
import { Fields, OutgoingRequest } from 'wasi:http/types@0.2.12';

export function run(who) {
  const request = new OutgoingRequest(new Fields());
  request.setAuthority(who);
  handle(request, undefined).subscribe().block();
  return 'sent';
}
