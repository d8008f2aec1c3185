import assert from 'node:assert/strict';
import { checked } from '../../../src/domain/checked.ts';
import { InvalidInput } from '../../../src/domain/errors.ts';
import { MAX_VIOLATIONS } from '../../../src/domain/limits.ts';
import type { Stores, TenantRecord, TenantStore, WriteTransaction } from '../../../src/services/stores.ts';
import { TemplateService } from '../../../src/services/template-service.ts';
import { template } from '../../support/drafts.ts';
import { partOf, refusal } from '../../support/handler-call.ts';

const templates = new TemplateService(partOf<Stores>({}));
const tx = partOf<WriteTransaction>({
  tenants: partOf<TenantStore>({ find: async () => partOf<TenantRecord>({}) }),
});

/** A draft in whose content so many mistakes were found. */
function mistaken(mistakes: number) {
  return checked((violations) => {
    for (let n = 0; n < mistakes; n += 1) violations.add('draft.content', 'LONE_BRACE', 'double it');
    return template();
  });
}

describe('Every violation is reported at once', () => {
  it('a template is created: what the check of its draft found, after the id and the type', async () => {
    const input = { tenant: 'acme', id: 'No', type: undefined, draft: mistaken(1) };
    assert.deepEqual(await refusal(templates.create(tx, input)), [
      'template_id BAD_FORMAT',
      'type UNSPECIFIED',
      'draft.content LONE_BRACE',
    ]);
  });

  it('a template is updated: the template is not even looked for', async () => {
    const input = { tenant: 'acme', id: 'hello', draft: mistaken(1), editVersion: 0 };
    assert.deepEqual(await refusal(templates.update(tx, input)), [
      'edit_version REQUIRED',
      'draft.content LONE_BRACE',
    ]);
  });

  it('those that the check left out are counted', async () => {
    const input = { tenant: 'acme', id: 'No', type: 'GREETING', draft: mistaken(MAX_VIOLATIONS + 7) } as const;
    await assert.rejects(templates.create(tx, input), (error: unknown) => {
      assert.ok(error instanceof InvalidInput);
      assert.deepEqual([error.violations.length, error.total], [MAX_VIOLATIONS, MAX_VIOLATIONS + 8]);
      return true;
    });
  });
});
