import assert from 'node:assert/strict';
import { Cancelled } from '../../../../src/domain/errors.ts';
import { templateDocument } from '../../../../src/domain/template.ts';
import { templateHandlers } from '../../../../src/rpc/handlers/template-handlers.ts';
import type { DraftRecord, Positioned, TemplateVersionRecord } from '../../../../src/services/stores.ts';
import type { TemplateService } from '../../../../src/services/template-service.ts';
import { PromptType, WarningCode } from '../../../../gen/platen/v1/resources_pb.js';
import { TemplateService as TemplateRpc } from '../../../../gen/platen/v1/template_service_pb.js';
import { call, MemoryWrites, partOf, refusal } from '../../../support/handler-call.ts';
import { endlessDrafts, inProcessDrafts } from '../../../support/in-process-work.ts';

const { method } = TemplateRpc;
const TIME = new Date('2026-03-01T12:00:00.123Z');
const DRAFT = {
  syntax: 'FORMAT',
  content: 'Hello',
  variables: [],
  description: '',
  allowLiteralBraces: false,
} as const;
const SOUND = { value: DRAFT, violations: [], total: 0 };
const MISSING = {
  value: undefined,
  violations: [{ field: 'draft', reason: 'REQUIRED', description: 'the draft is required' }],
  total: 1,
};
const document = templateDocument('GREETING', DRAFT);

function record(id: string): DraftRecord {
  return {
    tenant: 'acme',
    id,
    type: 'GREETING',
    editVersion: 1,
    draft: document,
    latestVersion: '',
    createTime: TIME,
    updateTime: TIME,
    updateActor: 'key:1',
    archiveTime: undefined,
  };
}

function versionOf(version: string): TemplateVersionRecord {
  const { tenant, id, type, editVersion } = record('hello');
  return { tenant, id, type, editVersion, version, document, createTime: TIME, createActor: 'key:1' };
}

function positioned(position: number): Positioned<TemplateVersionRecord> {
  return { position, record: versionOf(`1.0.${position}`) };
}

const named = { tenant: 'acme', templateId: 'hello' };
const warnings = [{ code: 'VARIABLE_UNUSED', subject: 'x', message: 'x is not used' }] as const;

describe('A published version never changes', () => {
  const asked: unknown[] = [];
  const templates = partOf<TemplateService>({
    create: async (_tx, input) => {
      asked.push(input);
      return { template: record(input.id), seq: 7, warnings };
    },
    update: async (_tx, input) => {
      asked.push(input);
      return { template: record(input.id), seq: 8, warnings };
    },
    publish: async (_tx, input) => {
      asked.push(input);
      return { version: versionOf(input.version), seq: 9 };
    },
    archive: async (_tx, input) => {
      asked.push(input);
      return { template: { ...record(input.id), archiveTime: TIME }, seq: 10 };
    },
    get: async (tenant, id) => {
      asked.push({ tenant, id });
      return record(id);
    },
    getVersion: async (tenant, id, version) => {
      asked.push({ tenant, id });
      return versionOf(version);
    },
    list: async (tenant, filter, after, limit) => {
      asked.push({ tenant, ...filter });
      return ['a', 'b', 'c'].filter((id) => id > after).slice(0, limit).map(record);
    },
    listVersions: async (tenant, id, after, limit) => {
      asked.push({ tenant, id });
      return [30, 20, 10].filter((position) => after === 0 || position < after).slice(0, limit).map(positioned);
    },
  });
  const served = templateHandlers(new MemoryWrites(), templates, inProcessDrafts);

  it('CreateTemplate', async () => {
    const request = { ...named, type: PromptType.GREETING, draft: { content: 'Hello' } };
    const answer = await call(served, method.createTemplate, request);
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello', type: 'GREETING', draft: SOUND });
    assert.equal(answer.template?.templateId, 'hello');
    assert.equal(answer.seq, 7n);
    assert.equal(answer.warnings[0]?.code, WarningCode.VARIABLE_UNUSED);
  });

  it('what is left out is for the service to refuse; an empty tenant is the root', async () => {
    await call(served, method.createTemplate, {});
    assert.deepEqual(asked.pop(), { tenant: 'default', id: '', type: undefined, draft: MISSING });
    await call(served, method.updateTemplate, {});
    assert.deepEqual(asked.pop(), { tenant: 'default', id: '', draft: MISSING, editVersion: 0 });
  });

  it('a type that the contract does not have is refused', async () => {
    const request = { ...named, type: 99 as PromptType };
    assert.deepEqual(await refusal(call(served, method.createTemplate, request)), ['type OUT_OF_RANGE']);
    assert.deepEqual(await refusal(call(served, method.listTemplates, { type: 99 as PromptType })), [
      'type OUT_OF_RANGE',
    ]);
  });

  it('GetTemplate', async () => {
    assert.equal((await call(served, method.getTemplate, named)).template?.templateId, 'hello');
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello' });
  });

  it('UpdateTemplate', async () => {
    const answer = await call(served, method.updateTemplate, { ...named, draft: { content: 'Hello' }, editVersion: 3 });
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello', draft: SOUND, editVersion: 3 });
    assert.equal(answer.template?.draft?.content, 'Hello');
    assert.equal(answer.seq, 8n);
    assert.equal(answer.warnings.length, 1);
  });

  it('PublishTemplate', async () => {
    const answer = await call(served, method.publishTemplate, { ...named, version: '1.0.0', editVersion: 3 });
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello', version: '1.0.0', editVersion: 3 });
    assert.equal(answer.version?.version, '1.0.0');
    assert.equal(answer.seq, 9n);
  });

  it('DeleteTemplate', async () => {
    const answer = await call(served, method.deleteTemplate, { ...named, editVersion: 3 });
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello', editVersion: 3 });
    assert.notEqual(answer.template?.archiveTime, undefined);
    assert.equal(answer.seq, 10n);
  });

  it('GetTemplateVersion', async () => {
    const answer = await call(served, method.getTemplateVersion, { ...named, version: '1.0.0' });
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello' });
    assert.equal(answer.version?.version, '1.0.0');
  });

  it('ListTemplates', async () => {
    const filter = { tenant: 'acme', type: PromptType.HANDOFF, showArchived: true };
    const first = await call(served, method.listTemplates, { ...filter, pageSize: 2 });
    assert.deepEqual(asked.pop(), { tenant: 'acme', type: 'HANDOFF', archived: true });
    assert.deepEqual(first.templates.map(({ templateId }) => templateId), ['a', 'b']);
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listTemplates, { ...filter, pageToken });
    assert.deepEqual(last.templates.map(({ templateId }) => templateId), ['c']);
    await call(served, method.listTemplates, {});
    assert.deepEqual(asked.pop(), { tenant: 'default', type: undefined, archived: false });
  });

  it('ListTemplateVersions', async () => {
    const first = await call(served, method.listTemplateVersions, { ...named, pageSize: 2 });
    assert.deepEqual(first.versions.map(({ version }) => version), ['1.0.30', '1.0.20']);
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listTemplateVersions, { ...named, pageToken });
    assert.deepEqual(last.versions.map(({ version }) => version), ['1.0.10']);
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'hello' });
  });
});

describe('Cancelled writes change nothing', () => {
  it('while a draft is checked no transaction begins, nor once the caller is gone', async () => {
    const writes = new MemoryWrites();
    const caller = new AbortController();
    const served = templateHandlers(writes, partOf<TemplateService>({}), endlessDrafts);
    const request = { ...named, draft: { content: 'Hello' } };
    const answers = [
      call(served, method.createTemplate, request, { signal: caller.signal }),
      call(served, method.updateTemplate, request, { signal: caller.signal }),
    ];
    caller.abort(new Cancelled());
    for (const answer of answers) await assert.rejects(answer, Cancelled);
    assert.deepEqual(writes.calls, []);
  });
});
