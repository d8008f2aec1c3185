import { defineEntity, p } from '@mikro-orm/postgresql';

/** The head of a channel: the revision of its latest release. */
export const ChannelEntity = defineEntity({
  name: 'Channel',
  tableName: 'channel',
  properties: {
    tenant: p.text().primary(),
    bundleId: p.text().primary(),
    channel: p.text().primary(),
    revision: p.integer(),
  },
});
