import type { Command } from 'commander';
import {
  ListReleasesResponseSchema,
  ReleaseBundleResponseSchema,
  RollbackBundleResponseSchema,
} from '../../gen/platen/v1/bundle_service_pb.js';
import { ReleaseKindSchema, type Release } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import { moved, owned, paged, repeatable, type PageOptions } from './options.ts';
import { table, time } from './output.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface MoveOptions {
  readonly tenant: string;
  readonly channel: string;
  readonly expectedRevision?: number;
  readonly requestId: string;
}

interface ListOptions extends PageOptions {
  readonly tenant: string;
  readonly channel: string;
}

/** `platen release`: which version a channel points at. */
export function addReleaseCommands(program: Command, terminal: Terminal): void {
  const release = program.command('release').description('point channels at versions, and back');

  moving(clientCommand(release, 'set <bundle> <version>', 'point a channel at a published version')).action(
    calling(terminal, async (session, bundleId: string, version: string, options: MoveOptions) => {
      const target = { case: 'version', value: version } as const;
      const response = await session.clients.bundles.releaseBundle({ ...options, bundleId, target });
      session.print(ReleaseBundleResponseSchema, response, movedTo('released', response.release!));
    }),
  );

  moving(clientCommand(release, 'withdraw <bundle>', 'take a channel out of service')).action(
    calling(terminal, async (session, bundleId: string, options: MoveOptions) => {
      const target = { case: 'withdraw', value: true } as const;
      const response = await session.clients.bundles.releaseBundle({ ...options, bundleId, target });
      session.print(ReleaseBundleResponseSchema, response, movedTo('withdrew', response.release!));
    }),
  );

  moving(clientCommand(release, 'rollback <bundle> [version]', 'point a channel back at a version it served before'))
    .addHelpText('after', '\nWithout a version: the one before the current one; repeated, it walks further back.')
    .action(
      calling(terminal, async (session, bundleId: string, version: string | undefined, options: MoveOptions) => {
        const request = { ...options, bundleId, version: version ?? '' };
        const response = await session.clients.bundles.rollbackBundle(request);
        session.print(RollbackBundleResponseSchema, response, movedTo('rolled back to', response.release!));
      }),
    );

  paged(owned(clientCommand(release, 'list <bundle>', 'list the moves of the channels, the latest first')))
    .option('--channel <channel>', 'only this channel', '')
    .action(
      calling(terminal, async (session, bundleId: string, options: ListOptions) => {
        const response = await session.clients.bundles.listReleases({ ...options, bundleId });
        const rows = response.releases.map((one) => [
          one.channel,
          one.revision,
          enumName(ReleaseKindSchema, one.kind),
          versions(one) || '-',
          one.seq,
          time(one.createTime),
          one.createActor,
        ]);
        const header = ['CHANNEL', 'REVISION', 'KIND', 'VERSION', 'SEQ', 'TIME', 'BY'];
        session.printPage(ListReleasesResponseSchema, response, table(header, rows));
      }),
    );
}

function moving(command: Command): Command {
  return repeatable(moved(owned(command))).option('--channel <channel>', 'the channel', 'production');
}

function movedTo(verb: string, release: Release): string {
  const what = [`${release.tenant}/${release.bundleId}`, versions(release)].filter(Boolean).join('@');
  return `${verb} ${what} on ${release.channel} (revision ${release.revision}, seq ${release.seq})\n`;
}

function versions({ targets }: Release): string {
  return targets.map(({ version }) => version).join(' ');
}
