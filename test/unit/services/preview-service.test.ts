import assert from 'node:assert/strict';
import { bundleDocument } from '../../../src/domain/bundle.ts';
import { Cancelled, Unavailable, WorkTooLong } from '../../../src/domain/errors.ts';
import type { PromptType } from '../../../src/domain/prompt-type.ts';
import type { RouteMap } from '../../../src/domain/route-map.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import { templateDocument } from '../../../src/domain/template.ts';
import type { PreviewWork, WorkCall } from '../../../src/services/bounded-work.ts';
import { type PreviewInput, type PreviewResult, PreviewService } from '../../../src/services/preview-service.ts';
import type { PreviewSubject } from '../../../src/services/preview-subject.ts';
import type {
  BundleStore,
  BundleVersionRecord,
  DraftRecord,
  Stores,
  TemplateStore,
  TemplateVersionRecord,
  TenantStore,
} from '../../../src/services/stores.ts';
import { bundle, bundleDraft, snapshot, template, templateDraft } from '../../support/drafts.ts';
import { partOf, refusal } from '../../support/handler-call.ts';
import { inProcessPreviews } from '../../support/in-process-previews.ts';
import { inProcessDrafts } from '../../support/in-process-work.ts';

const CALL: WorkCall = { deadline: undefined, signal: new AbortController().signal };
const HELLO = template({ content: 'Hello {name}' });
const DRAFT = bundle();
const VERSION = { id: 'welcome', version: '1.0.0' };
const PIN = { tenant: 'default', templateId: 'hello', version: '1.2.0' };

/** Tenant `acme` under `default`, which has template `hello` and bundle `welcome`, as drafts and published. */
function registry(templateType: PromptType, bundleType: PromptType): Stores {
  const hello = templateDocument(templateType, HELLO);
  const welcome = bundleDocument(bundleType, DRAFT);
  const published = partOf<BundleVersionRecord>({
    type: bundleType,
    snapshot: snapshotDocument(snapshot(DRAFT, { hello: HELLO })),
    pins: [PIN],
  });
  return partOf<Stores>({
    tenants: partOf<TenantStore>({ lineage: async (tenant) => (tenant === 'acme' ? ['acme', 'default'] : []) }),
    templates: partOf<TemplateStore>({
      find: async (_tenant, id) => (id === 'hello' ? partOf<DraftRecord>({ draft: hello }) : undefined),
      findVersion: async (tenant, id, version) =>
        tenant === PIN.tenant && id === PIN.templateId && version === PIN.version
          ? partOf<TemplateVersionRecord>({ type: templateType, document: hello })
          : undefined,
      published: async () => [{ tenant: PIN.tenant, id: PIN.templateId, versions: [PIN.version] }],
    }),
    bundles: partOf<BundleStore>({
      find: async (_tenant, id) => (id === 'welcome' ? partOf<DraftRecord>({ draft: welcome }) : undefined),
      findVersion: async () => published,
      versionHashes: async (_tenants, id) => (id === 'welcome' ? [{ tenant: 'default', bundleHash: '' }] : []),
    }),
  });
}

interface Circumstances {
  readonly templateType?: PromptType;
  readonly bundleType?: PromptType;
  readonly work?: Partial<PreviewWork>;
}

function preview(input: Partial<PreviewInput>, given: Circumstances = {}): Promise<PreviewResult> {
  const { templateType = 'GREETING', bundleType = 'GREETING', work = {} } = given;
  const stores = registry(templateType, bundleType);
  const scope = { known: true, variables: { name: 'everybody' }, capturePolicy: 'HASH_ONLY' } as const;
  const routes = { map: partOf<RouteMap>({ scope: () => scope }) };
  const service = new PreviewService(stores, routes, inProcessDrafts, { ...inProcessPreviews, ...work });
  return service.preview(CALL, {
    tenant: 'acme',
    subject: { kind: 'bundleDraft', id: 'welcome' },
    variables: {},
    placeholders: new Map(),
    tenantVariables: {},
    tokenEncoding: 'O200K_BASE',
    tokenBudget: 0,
    ...input,
  });
}

function warned({ warnings }: PreviewResult): string[] {
  return warnings.map(({ code, subject }) => `${code} ${subject}`);
}

function countsFailing(reason: Error): Circumstances {
  return { work: { countTokens: () => Promise.reject(reason) } };
}

const BUNDLES: readonly PreviewSubject[] = [
  { kind: 'bundleDraft', id: 'welcome' },
  { kind: 'bundleVersion', ...VERSION },
  { kind: 'bundleContent', type: 'GREETING', draft: bundleDraft() },
];
const TEMPLATES: readonly PreviewSubject[] = [
  { kind: 'templateDraft', id: 'hello' },
  { kind: 'templateVersion', id: 'hello', version: PIN.version },
  { kind: 'templateContent', draft: templateDraft({ content: 'Hello {name}' }) },
];

describe('Preview renders drafts, versions and unsaved content', () => {
  for (const subject of BUNDLES) {
    it(`${subject.kind}, with the versions that it holds`, async () => {
      const shown = await preview({ subject, variables: { name: 'Ada' } });
      assert.deepEqual([shown.text, shown.pins, shown.warnings], ['Hello Ada', [PIN], []]);
    });
  }

  for (const subject of TEMPLATES) {
    it(`${subject.kind}, as the only section`, async () => {
      const shown = await preview({ subject });
      assert.deepEqual([shown.text, shown.pins, shown.warnings], ['Hello everybody', [], []]);
    });
  }

  it('tenant variables may be overridden', async () => {
    assert.equal((await preview({ tenantVariables: { name: 'Apex' } })).text, 'Hello Apex');
  });

  it('nothing of a name that does not exist', async () => {
    const version = '1.0.0';
    for (const [input, name] of [
      [{ tenant: 'nobody' }, 'tenant nobody'],
      [{ subject: { kind: 'bundleDraft', id: 'none' } }, 'bundle acme/none'],
      [{ subject: { kind: 'bundleVersion', id: 'none', version } }, 'bundle_version acme/none@1.0.0'],
      [{ subject: { kind: 'templateDraft', id: 'none' } }, 'template acme/none'],
      [{ subject: { kind: 'templateVersion', id: 'none', version } }, 'template_version acme/none@1.0.0'],
    ] as const) {
      await assert.rejects(preview(input), { name: 'NotFound', message: `${name} does not exist` });
    }
  });
});

describe('Every violation is reported at once', () => {
  it('of the values and of an unsaved bundle, its references included', async () => {
    const ref = { templateId: 'none', version: '*' };
    const draft = bundleDraft({ personality: ref, sections: [undefined] });
    const subject = { kind: 'bundleContent', type: undefined, draft } as const;
    assert.deepEqual(await refusal(preview({ subject, variables: { a: Number.NaN }, tokenBudget: -1 })), [
      'variables.a NOT_FINITE',
      'token_budget OUT_OF_RANGE',
      'bundle_content.type UNSPECIFIED',
      'bundle_content.draft.sections[0] REQUIRED',
      'bundle_content.draft.personality.version UNRESOLVED',
    ]);
  });

  it('of a sound bundle whose references resolve to nothing', async () => {
    const draft = bundleDraft({ personality: { templateId: 'none', version: '*' } });
    const subject = { kind: 'bundleContent', type: 'GREETING', draft } as const;
    assert.deepEqual(await refusal(preview({ subject })), [
      'bundle_content.draft.personality.version UNRESOLVED',
    ]);
  });

  it('of an unsaved bundle without type and draft', async () => {
    const subject = { kind: 'bundleContent', type: undefined, draft: undefined } as const;
    assert.deepEqual(await refusal(preview({ subject })), [
      'bundle_content.type UNSPECIFIED',
      'bundle_content.draft REQUIRED',
    ]);
  });

  it('of the values and of an unsaved template', async () => {
    const subject = { kind: 'templateContent', draft: templateDraft({ content: 'a } b' }) } as const;
    assert.deepEqual(await refusal(preview({ subject, tenantVariables: { A: 1 } })), [
      'tenant_variables.A BAD_FORMAT',
      'template_content.content LONE_BRACE',
    ]);
  });

  it('of a preview without a subject', async () => {
    assert.deepEqual(await refusal(preview({ subject: undefined })), ['subject REQUIRED']);
  });
});

describe('Preview counts tokens', () => {
  it('of the text and of each message', async () => {
    const placeholder = { placeholder: 'history' };
    const draft = bundleDraft({ sections: [...bundleDraft().sections, placeholder] });
    const subject = { kind: 'bundleContent', type: 'GREETING', draft } as const;
    const placeholders = new Map([['history', [{ role: 'USER', content: 'antidisestablishmentarianism' }] as const]]);
    const { text, tokens } = await preview({ subject, placeholders, tokenEncoding: 'CL100K_BASE' });
    assert.equal(text, 'Hello everybody\n\nantidisestablishmentarianism');
    assert.deepEqual(tokens, { encoding: 'CL100K_BASE', text: 9, messages: [2, 6] });
  });

  it('a budget that is kept says nothing, one that is not is told of', async () => {
    assert.deepEqual(warned(await preview({ tokenBudget: 2 })), []);
    const shown = await preview({ tokenBudget: 1 });
    assert.deepEqual(warned(shown), ['TOKEN_BUDGET_EXCEEDED 2']);
    assert.equal(shown.warnings[0]!.message, 'the text has 2 tokens in o200k_base, 1 more than the budget');
  });

  for (const error of [
    new WorkTooLong('count_tokens', 1_000),
    new Unavailable('OVERLOADED', 'too much waits', 1_000),
  ]) {
    it(`is answered without them after ${error.name}`, async () => {
      const shown = await preview({ tokenBudget: 1 }, countsFailing(error));
      assert.equal(shown.text, 'Hello everybody');
      assert.equal(shown.tokens, undefined);
      assert.deepEqual(warned(shown), ['TOKENS_NOT_COUNTED O200K_BASE']);
    });
  }

  for (const error of [new Cancelled(), new Unavailable('DRAINING', 'the server stops', 1_000)]) {
    it(`fails with ${error.message}`, async () => {
      await assert.rejects(preview({}, countsFailing(error)), error);
    });
  }

  it('the work knows for how long its result is of use', async () => {
    const calls: WorkCall[] = [];
    const work: PreviewWork = {
      render(call, ...rest) {
        calls.push(call);
        return inProcessPreviews.render(call, ...rest);
      },
      countTokens(call, ...rest) {
        calls.push(call);
        return inProcessPreviews.countTokens(call, ...rest);
      },
    };
    await preview({}, { work });
    assert.deepEqual(calls, [CALL, CALL]);
  });
});

describe('Preview warns of what reads wrong', () => {
  for (const subject of BUNDLES) {
    it(`${subject.kind}: no template is of the bundle's own type`, async () => {
      assert.deepEqual(warned(await preview({ subject }, { templateType: 'FAREWELL' })), ['TYPE_MISSING GREETING']);
    });
  }

  for (const subject of TEMPLATES) {
    it(`${subject.kind}: a template is of its own type`, async () => {
      assert.deepEqual(warned(await preview({ subject }, { templateType: 'FAREWELL' })), []);
    });
  }

  it('all warnings, those of the prompt between those of its bundle and of its tokens', async () => {
    const placeholders = new Map([['memory', []]]);
    const shown = await preview({ placeholders, tokenBudget: 1 }, { bundleType: 'HANDOFF' });
    assert.deepEqual(warned(shown), [
      'TYPE_MISSING HANDOFF',
      'PLACEHOLDER_UNKNOWN memory',
      'TOKEN_BUDGET_EXCEEDED 2',
    ]);
  });
});
