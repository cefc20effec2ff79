// Components in JavaScript, by the tool that people use. `cargo xtask strangers` runs it in `.cache/vet/js`.
import { componentize } from '@bytecodealliance/componentize-js';
import { readFile, writeFile } from 'node:fs/promises';

const [source, witPath, folder] = process.argv.slice(2);

const make = async (name, disableFeatures) => {
  const { component } = await componentize(await readFile(source, 'utf8'), { witPath, worldName: 'demo', disableFeatures });
  await writeFile(`${folder}/${name}.wasm`, component);
};

await make('javascript', []);
await make('javascript-bare', ['stdio', 'random', 'clocks', 'http', 'fetch-event']);
