import { getEnvironment } from 'wasi:cli/environment@0.2.12';

export function run(who) { return who + JSON.stringify(getEnvironment()); }
