import { documentOf, type Document } from '../../src/domain/document.ts';
import { constraintsHash, snapshotDocument, type Snapshot } from '../../src/domain/snapshot.ts';
import type { VariableRules } from '../../src/domain/variable-rules.ts';
import type { Session } from '../../src/storage/session.ts';
import { ordinaryContent, ORDINARY_VARIABLES } from './ordinary-bundle.ts';

const ROWS_A_STATEMENT = 500;
const VERSION = '1.0.0';

/** The id of the n-th bundle. */
export function releasedBundleId(n: number): string {
  return `bundle-${n}`;
}

/**
 * Releases so many bundles at once: each a prompt of 4 KB that no other has, with the variables of an ordinary render.
 * Writes rows past all checks, since only reading counts here. No server may run on the database.
 * @param session of the database's owner
 */
export async function releaseBundles({ em }: Session, count: number): Promise<void> {
  const draft = documentOf({ sections: [] });
  await em.transactional(async (tx) => {
    await tx.execute('set local session_replication_role = replica');
    await tx.execute('insert into document values (?, ?)', [draft.hash, draft.text]);
    for (let first = 0; first < count; first += ROWS_A_STATEMENT) {
      const rows = Array.from({ length: Math.min(ROWS_A_STATEMENT, count - first) }, (_, n) => row(first + n));
      await tx.execute(INSERT, [JSON.stringify(rows), draft.hash]);
    }
  });
  await em.execute('vacuum analyze');
}

/** A bundle, its version, and its release, by way of one statement. */
const INSERT = `
  with given as (
    select * from jsonb_to_recordset(?) as (id text, hash text, content text, constraints text, targets text)
  ), documents as (
    insert into document select hash, content from given
  ), bundles as (
    insert into bundle
    select 'default', id, 'SYSTEM_PROMPT', 1, ?, '${VERSION}', now(), now(), '', null from given
  ), versions as (
    insert into bundle_version (tenant, id, version, type, draft_hash, snapshot_hash, personality_hash,
      constraints_hash, edit_version, create_time, create_actor)
    select 'default', id, '${VERSION}', 'SYSTEM_PROMPT', hash, hash, '', constraints, 1, now(), '' from given
  ), releases as (
    insert into release
    select 'default', id, 'production', 1, 'RELEASE', targets, 1, 1, now(), '' from given
  )
  insert into channel select 'default', id, 'production', 1 from given`;

function row(n: number) {
  const { snapshot, document } = ordinarySnapshot(n);
  return {
    id: releasedBundleId(n),
    hash: document.hash,
    content: document.text,
    constraints: constraintsHash(snapshot),
    targets: JSON.stringify([{ version: VERSION, bundleHash: document.hash, weight: 100 }]),
  };
}

function ordinarySnapshot(n: number): { snapshot: Snapshot; document: Document } {
  const rules: VariableRules = { type: 'STRING', required: true };
  const snapshot: Snapshot = {
    personality: undefined,
    sections: [{ role: 'SYSTEM', syntax: 'FORMAT', content: ordinaryContent(`This is shop ${n}. `) }],
    variables: Object.fromEntries(Object.keys(ORDINARY_VARIABLES).map((name) => [name, rules])),
    constraints: [],
    modelConfig: undefined,
  };
  return { snapshot, document: snapshotDocument(snapshot) };
}
