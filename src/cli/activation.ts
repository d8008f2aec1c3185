import type { Command } from 'commander';
import {
  ActivateBundleResponseSchema,
  DeactivateBundleResponseSchema,
  ListActivationsResponseSchema,
} from '../../gen/platen/v1/bundle_service_pb.js';
import { PromptTypeSchema } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import { choice, moved, paged, repeatable, type PageOptions } from './options.ts';
import { table, time } from './output.ts';
import { typeFilter } from './prompt-type.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface MoveOptions {
  readonly tenant: string;
  readonly type: string;
  readonly expectedRevision?: number;
  readonly requestId: string;
}

/** `platen bundle activate|deactivate|activations`: which bundle answers a tenant's renders by type. */
export function addActivationCommands(bundle: Command, terminal: Terminal): void {
  moving(clientCommand(bundle, 'activate <id>', "make a bundle answer a tenant's renders by type")).action(
    calling(terminal, async (session, id: string, options: MoveOptions) => {
      const request = { ...options, type: typeFilter(options.type), bundleId: id };
      const response = await session.clients.bundles.activateBundle(request);
      const { tenant, revision } = response.activation!;
      const text = `activated ${id} for ${options.type} in ${tenant} (revision ${revision}, seq ${response.seq})\n`;
      session.print(ActivateBundleResponseSchema, response, text);
    }),
  );

  moving(clientCommand(bundle, 'deactivate', "take a tenant's activation away: its ancestors' answers again")).action(
    calling(terminal, async (session, options: MoveOptions) => {
      const request = { ...options, type: typeFilter(options.type) };
      const response = await session.clients.bundles.deactivateBundle(request);
      const { tenant, revision } = response.activation!;
      const text = `deactivated ${options.type} in ${tenant} (revision ${revision}, seq ${response.seq})\n`;
      session.print(DeactivateBundleResponseSchema, response, text);
    }),
  );

  paged(clientCommand(bundle, 'activations', "list a tenant's own activations by type"))
    .option('--tenant <id>', 'the tenant', 'default')
    .action(
      calling(terminal, async (session, options: PageOptions & { tenant: string }) => {
        const response = await session.clients.bundles.listActivations(options);
        const rows = response.activations.map((one) => [
          enumName(PromptTypeSchema, one.type),
          one.bundleId || '-',
          one.revision,
          one.seq,
          time(one.updateTime),
          one.updateActor,
        ]);
        const header = ['TYPE', 'BUNDLE', 'REVISION', 'SEQ', 'UPDATED', 'BY'];
        session.printPage(ListActivationsResponseSchema, response, table(header, rows));
      }),
    );
}

function moving(command: Command): Command {
  return repeatable(moved(command.option('--tenant <id>', 'the tenant', 'default'))).addOption(
    choice('--type <type>', 'the type that is answered', PromptTypeSchema).makeOptionMandatory(),
  );
}
