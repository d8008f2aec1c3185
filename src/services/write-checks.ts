/** What every write to the registry checks before it touches a row. */
import { NotFound, PreconditionFailed, Stale, type ResourceType, type Violations } from '../domain/errors.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import type { DraftRecord, Stores } from './stores.ts';

/** Update, Publish and Delete name the draft that they were decided on (spec section 3). */
export function checkEditVersion(violations: Violations, editVersion: number): void {
  if (editVersion < 1) {
    violations.add('edit_version', 'REQUIRED', 'the current edit_version is required, from 1: read the resource first');
  }
}

/**
 * The locked record, if it may be written by whoever read `editVersion`.
 * @throws NotFound, PreconditionFailed RESOURCE_ARCHIVED, Stale STALE_EDIT_VERSION
 */
export function writable(
  record: DraftRecord | undefined,
  resource: ResourceType,
  name: string,
  editVersion: number,
): DraftRecord {
  if (record === undefined) throw new NotFound(resource, name);
  if (record.archiveTime !== undefined) throw archived(resource, name);
  if (record.editVersion !== editVersion) {
    throw new Stale('STALE_EDIT_VERSION', {
      value: record.editVersion,
      expected: editVersion,
      draftHash: record.draft.hash,
      actor: record.updateActor,
      time: record.updateTime.toISOString(),
    });
  }
  return record;
}

/** The error of a write to something archived. */
export function archived(resource: ResourceType, name: string): PreconditionFailed {
  return new PreconditionFailed('RESOURCE_ARCHIVED', [
    { type: 'ARCHIVED', subject: name, description: `the ${resource} is archived; its versions stay readable` },
  ]);
}

/** The type, which every new template and bundle must name. */
export function requireType(
  violations: Violations,
  type: PromptType | undefined,
  field = 'type',
): PromptType | undefined {
  if (type === undefined) violations.add(field, 'UNSPECIFIED', 'a prompt type is required: name one of PromptType');
  return type;
}

/** @throws NotFound */
export async function requireTenant(stores: Stores, tenant: string): Promise<void> {
  if ((await stores.tenants.find(tenant)) === undefined) throw new NotFound('tenant', tenant);
}
