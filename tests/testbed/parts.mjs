// The parts that npm brought, from wherever they were installed: this folder has no node_modules of its own.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const from = process.env.TESTBED_MODULES;
if (!from) throw new Error('set TESTBED_MODULES to the folder in which `npm ci` made node_modules');
const { resolve } = createRequire(join(from, 'node_modules', 'any.js'));
export const load = (name) => import(pathToFileURL(resolve(name)));

export const { default: Provider, errors } = await load('oidc-provider');
export const { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, EmbeddedJWK, importJWK, jwtVerify, SignJWT } =
  await load('jose');
