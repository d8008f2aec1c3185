import type { Command } from 'commander';
import { EntityKind } from '../../gen/platen/v1/audit_service_pb.js';
import { CapturePolicy, CapturePolicySchema, type Tenant } from '../../gen/platen/v1/resources_pb.js';
import {
  CreateTenantResponseSchema,
  GetTenantResponseSchema,
  ListTenantsResponseSchema,
  UpdateTenantResponseSchema,
} from '../../gen/platen/v1/tenant_service_pb.js';
import { tenantText } from './draft-text.ts';
import { requireEditVersion } from './edit-version.ts';
import { enumName, enumValue } from './enum-name.ts';
import { parseTenantFile, readSource, type TenantFile } from './files.ts';
import { assignments, choice, edited, paged, repeatable, wholeNumber, type PageOptions } from './options.ts';
import { fields, table, time } from './output.ts';
import { calling, clientCommand, type Session } from './session.ts';
import { saving } from './stale-save.ts';
import type { Terminal } from './terminal.ts';
import { fromValues, parseAssignments, toValues } from './value.ts';

interface ContentOptions {
  readonly file?: string;
  readonly parent?: string;
  readonly displayName?: string;
  readonly var: readonly string[];
  readonly capture?: string;
  readonly receiptRetentionDays?: number;
  readonly requestId: string;
}

/** `platen tenant`: the tree of brands. */
export function addTenantCommands(program: Command, terminal: Terminal): void {
  const tenant = program.command('tenant').description('create, read and change tenants (brands)');

  content(clientCommand(tenant, 'create <tenant>', 'create a tenant')).action(
    calling(terminal, async (session, id: string, options: ContentOptions) => {
      const held = await contentOf(session, options, EMPTY);
      const response = await session.clients.tenants.createTenant({
        tenant: id,
        ...held,
        variables: toValues(held.variables),
        requestId: options.requestId,
      });
      session.print(CreateTenantResponseSchema, response, written('created', response.tenant!, response.seq));
    }),
  );

  clientCommand(tenant, 'get [tenant]', 'print a tenant as a file has it').action(
    calling(terminal, async (session, id: string | undefined) => {
      const response = await session.clients.tenants.getTenant({ tenant: id ?? '' });
      const held = response.tenant!;
      session.printDocument(GetTenantResponseSchema, response, facts(held), tenantText(held));
    }),
  );

  paged(clientCommand(tenant, 'list', 'list tenants by id')).action(
    calling(terminal, async (session, options: PageOptions) => {
      const response = await session.clients.tenants.listTenants(options);
      const rows = response.tenants.map((one) => [
        one.tenant,
        one.parent,
        one.displayName,
        enumName(CapturePolicySchema, one.capturePolicy),
        one.receiptRetentionDays || '',
        one.editVersion,
        time(one.updateTime),
        one.updateActor,
      ]);
      const header = ['TENANT', 'PARENT', 'NAME', 'CAPTURE', 'RETENTION_DAYS', 'EDIT_VERSION', 'UPDATED', 'BY'];
      session.printPage(ListTenantsResponseSchema, response, table(header, rows));
    }),
  );

  edited(content(clientCommand(tenant, 'update <tenant>', 'change what a tenant holds'))).action(
    calling(terminal, async (session, id: string, options: ContentOptions & { editVersion?: number }) => {
      const read = async (): Promise<Tenant> => (await session.clients.tenants.getTenant({ tenant: id })).tenant!;
      const editVersion = await requireEditVersion(session, options.editVersion, read);
      // A file replaces everything. Flags alone change what they name; the edit_version makes sure of the rest.
      const held = await contentOf(session, options, options.file === undefined ? heldBy(await read()) : EMPTY);
      const response = await saving(session, { kind: EntityKind.TENANT, tenant: id, id, editVersion }, () =>
        session.clients.tenants.updateTenant({
          tenant: id,
          ...held,
          variables: toValues(held.variables),
          editVersion,
          requestId: options.requestId,
        }),
      );
      session.print(UpdateTenantResponseSchema, response, written('updated', response.tenant!, response.seq));
    }),
  );
}

const EMPTY: TenantFile = {
  parent: '',
  displayName: '',
  variables: {},
  capturePolicy: CapturePolicy.UNSPECIFIED,
  receiptRetentionDays: 0,
};

function content(command: Command): Command {
  return repeatable(command)
    .option(
      '--file <tenant.yaml>',
      'parent, display_name, capture_policy, receipt_retention_days and variables; - for standard input',
    )
    .option('--parent <tenant>', 'the parent')
    .option('--display-name <name>', 'the name for people')
    .addOption(assignments('--var <name=value>', 'a brand variable: JSON, or else text'))
    .addOption(choice('--capture <policy>', 'what receipts keep', CapturePolicySchema))
    .option(
      '--receipt-retention-days <n>',
      'how long receipts are kept at least; 0: as the parent says, and the root: for ever',
      wholeNumber,
    );
}

async function contentOf(session: Session, options: ContentOptions, held: TenantFile): Promise<TenantFile> {
  const base =
    options.file === undefined ? held : parseTenantFile(await readSource(options.file, session.terminal.stdin));
  return {
    parent: options.parent ?? base.parent,
    displayName: options.displayName ?? base.displayName,
    variables: { ...base.variables, ...parseAssignments(options.var) },
    receiptRetentionDays: options.receiptRetentionDays ?? base.receiptRetentionDays,
    capturePolicy: options.capture ? enumValue(CapturePolicySchema, options.capture)! : base.capturePolicy,
  };
}

function heldBy(tenant: Tenant): TenantFile {
  return { ...tenant, variables: fromValues(tenant.variables) };
}

function written(verb: string, tenant: Tenant, seq: bigint): string {
  return `${verb} tenant ${tenant.tenant} (edit_version ${tenant.editVersion}, seq ${seq})\n`;
}

function facts(tenant: Tenant): string {
  return fields([
    ['tenant', tenant.tenant],
    ['edit_version', tenant.editVersion],
    ['document_hash', tenant.documentHash],
    ['created', time(tenant.createTime)],
    ['updated', `${time(tenant.updateTime)} by ${tenant.updateActor}`],
  ]);
}
