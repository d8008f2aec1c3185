import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isReachable, postgresAccount } from '../../../src/storage/postgres-account.ts';
import { postgresBinaries } from '../../../src/storage/postgres-binaries.ts';

describe('The database is embedded when none is named', () => {
  const nobody = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n';
  const postgres = `${nobody}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n`;

  it('an ordinary user runs it himself', () => {
    assert.equal(postgresAccount(1000, postgres), undefined);
  });

  it('root runs it as postgres, else as nobody', () => {
    assert.deepEqual(postgresAccount(0, postgres), { uid: 101, gid: 104 });
    assert.deepEqual(postgresAccount(0, nobody), { uid: 65_534, gid: 65_533 });
  });

  it('root without such an account is told the ways out', () => {
    assert.throws(() => postgresAccount(0, 'root:x:0:0::/root:/bin/sh'), /PLATEN_DATABASE_URL/);
  });

  it('a platform without binaries is told the way out', async () => {
    await assert.rejects(postgresBinaries('plan9', 'mips'), /plan9-mips .*PLATEN_DATABASE_URL/);
  });

  describe('a path is reachable if every folder on the way may be entered', () => {
    let folder: string;
    const uid = process.getuid!();
    const gid = process.getgid!();
    const others = { uid: uid + 1, gid: gid + 1 };

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'platen-reach-'));
      await mkdir(join(folder, 'inner'));
    });

    afterEach(() => rm(folder, { recursive: true }));

    for (const [mode, expected] of [
      [0o700, [true, false, false]],
      [0o710, [true, true, false]],
      [0o701, [true, false, true]],
      [0o755, [true, true, true]],
    ] as const) {
      it(`mode ${mode.toString(8)}: owner, group, others`, async () => {
        await chmod(folder, mode);
        const path = join(folder, 'inner', 'file');
        const reach = [{ uid, gid }, { uid: others.uid, gid }, others].map((account) => isReachable(path, account));
        assert.deepEqual(reach, expected);
      });
    }
  });
});
