// Runs the audits of the npm package graphql-http against the address given, and prints them as JSON.
import { createRequire } from 'node:module';
const require = createRequire(process.argv[3] + '/');
const { auditServer } = require('graphql-http');

const results = await auditServer({ url: process.argv[2], fetchFn: fetch });
const plain = await Promise.all(
  results.map(async (one) => ({ id: one.id, name: one.name, status: one.status, reason: one.reason ?? null })),
);
console.log(JSON.stringify(plain));
