// Components in JavaScript, by the tools that people use. Run by `cargo xtask strangers` in `.cache/vet/js`.
import { componentize } from '@bytecodealliance/componentize-js';
import { writeFile } from 'node:fs/promises';

const [wit, folder] = process.argv.slice(2);
const source = 'export function run(who) { return "hello " + who; }';

const features = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];
const make = async (name, disableFeatures) => {
  const { component } = await componentize(source, { witPath: wit, worldName: 'demo', disableFeatures });
  await writeFile(`${folder}/${name}.wasm`, component);
};

await make('javascript', []);
await make('javascript-bare', features);
