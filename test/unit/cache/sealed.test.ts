import assert from 'node:assert/strict';
import fc from 'fast-check';
import { seal, unseal } from '../../../src/cache/sealed.ts';

describe('Wrong bytes in Redis are found and replaced', () => {
  it('what was sealed is read', () => {
    fc.assert(fc.property(fc.string(), fc.string({ unit: 'binary' }), (name, text) => {
      assert.equal(unseal(name, seal(name, text)), text);
    }));
  });

  it('but not under another name', () => {
    fc.assert(fc.property(fc.string(), fc.string(), fc.string(), (name, other, content) => {
      fc.pre(name !== other);
      assert.equal(unseal(other, seal(name, content)), undefined);
    }));
  });

  it('nor with any byte changed, added or left out', () => {
    const sealed = seal('prompt:acme:CHAT', '7\n{"answer":"é"}');
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 0x81;
      assert.equal(unseal('prompt:acme:CHAT', changed), undefined);
      assert.equal(unseal('prompt:acme:CHAT', sealed.subarray(0, at)), undefined);
    }
    assert.equal(unseal('prompt:acme:CHAT', Buffer.concat([sealed, Buffer.from('\n')])), undefined);
  });

  it('nor bytes that were never sealed', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.equal(unseal('version:acme:chat:1.0.0', Buffer.from(bytes)), undefined);
    }));
  });
});
