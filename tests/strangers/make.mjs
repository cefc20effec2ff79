// Components in JavaScript, by the tool that people use. `cargo xtask strangers` runs it in `.cache/vet/js`.
import { componentize } from '@bytecodealliance/componentize-js';
import { componentize as old } from 'componentize-js-old';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';

const [sources, wit, folder] = process.argv.slice(2);

const make = async (name, source, worldName, disableFeatures, tool = componentize) => {
  const file = `${folder}/${name}.wasm`;
  if (existsSync(file)) return;
  // WASI's worlds of today are beyond the old one.
  const witPath = worldName === 'demo' ? `${wit}/world.wit` : wit;
  const { component } = await tool(await readFile(`${sources}/${source}.js`, 'utf8'), { witPath, worldName, disableFeatures });
  await writeFile(file, component);
};

const bare = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];
await make('javascript', 'app', 'demo', []);
await make('javascript-bare', 'app', 'demo', bare);
await make('javascript-environment', 'environment', 'environment', bare);
await make('javascript-fetch', 'fetch', 'fetch', ['http', 'fetch-event']);
await make('javascript-agent', 'agent', 'agent', ['fetch-event']);
await make('javascript-old', 'app', 'demo', [], old);
