// node auth0.mjs PUB <MESSAGE: the COSE_Sign1 on standard input verifies by @auth0/cose, and with a bit of
// any of its last 96 bytes flipped, which are signed payload and signature, it does not.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Sign1 } from '@auth0/cose';

const key = createPublicKey(readFileSync(process.argv[2])), message = readFileSync(0);
await Sign1.decode(message).verify(key);
for (let i = message.length - 96; i < message.length; i++) {
  if (i === message.length - 66 || i === message.length - 65) continue; // the head of the signature
  const b = Buffer.from(message);
  b[i] ^= 1 << (i & 7);
  await assert.rejects(async () => Sign1.decode(b).verify(key), undefined, `byte ${i}`);
}
