// Makes components of core modules. `cargo xtask strangers` runs it in `.cache/vet/js`. A module is a component's `run`, in a
// world that is given as text, or WASI's, through its adapter: `command` or `reactor`; or both.
import { componentEmbed, componentNew, preview1AdapterCommandPath, preview1AdapterReactorPath } from '@bytecodealliance/jco';
import { readFile, writeFile } from 'node:fs/promises';

const [from, to, adapter, wit] = process.argv.slice(2);

let binary = await readFile(from);
if (wit) binary = await componentEmbed({ binary, witSource: await readFile(wit, 'utf8'), world: 'demo' });
const path = { command: preview1AdapterCommandPath, reactor: preview1AdapterReactorPath }[adapter];
const adapters = path ? [['wasi_snapshot_preview1', await readFile(await path())]] : [];
await writeFile(to, await componentNew(binary, adapters));
