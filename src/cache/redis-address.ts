/** Where Redis is and how it is reached, as PLATEN_REDIS_URL says. */
export interface RedisAddress {
  /** One server; the master that Sentinels name; a Cluster. */
  readonly mode: 'single' | 'sentinel' | 'cluster';
  /** Certificates are checked against the authorities that Node trusts; NODE_EXTRA_CA_CERTS adds to them. */
  readonly tls: boolean;
  /** Of the servers; Sentinels are told no password unless the URL has one for them. */
  readonly credentials: Credentials | undefined;
  readonly sentinelCredentials: Credentials | undefined;
  /** The server, the Sentinels, or some nodes of the Cluster: at least one. */
  readonly hosts: readonly HostAndPort[];
  /** The name by which Sentinels know the master; else empty. */
  readonly master: string;
  /** The number of the database; a Cluster has no other than 0. */
  readonly database: number;
}

export interface Credentials {
  /** Undefined: the default user. */
  readonly username: string | undefined;
  readonly password: string;
}

export interface HostAndPort {
  /** A name or an address; of IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const SHAPE = /^(rediss?)(\+sentinel|\+cluster)?:\/\/([^/?#]*)(?:\/([^?#]*))?(\?[^#]*)?$/;
const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;
const DATABASE = /^\d{1,5}$/;
const MASTER = /^[A-Za-z0-9._-]+$/;
const MAX_PORT = 65_535;
const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;
const MODES = { '': 'single', '+sentinel': 'sentinel', '+cluster': 'cluster' } as const;

const FORMS =
  'must be redis://user:password@host:6379/0, redis+sentinel://host:26379,host:26379/master-name/0 or ' +
  'redis+cluster://host:6379,host:6379; with TLS rediss…';

/** Reads a URL of Redis. @throws Error that names every mistake, and repeats nothing that may be a password */
export function parseRedisUrl(url: string): RedisAddress {
  const match = SHAPE.exec(url);
  if (!match) throw new Error(FORMS);
  const [, scheme, kind = '', authority = '', path = '', query = ''] = match;
  const mode = MODES[kind as keyof typeof MODES];
  const problems: string[] = [];
  const at = authority.lastIndexOf('@');
  const address = {
    mode,
    tls: scheme === 'rediss',
    credentials: at < 0 ? undefined : credentials(authority.slice(0, at), problems),
    hosts: hosts(authority.slice(at + 1), mode, problems),
    ...place(path, mode, problems),
    sentinelCredentials: sentinelCredentials(query, mode, problems),
  };
  if (problems.length > 0) throw new Error(problems.join('; '));
  return address;
}

/** Of `user:password`, each percent-encoded where it holds one of `:@/?#%`. */
function credentials(text: string, problems: string[]): Credentials | undefined {
  const colon = text.indexOf(':');
  const [username, password] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)].map(decoded);
  if (username === undefined || password === undefined) {
    problems.push('has a user or password that is not percent-encoded');
  } else if (colon < 0 || password === '') {
    problems.push('has a user without a password: it takes user:password@ or :password@');
  } else {
    return { username: username || undefined, password };
  }
  return undefined;
}

function hosts(text: string, mode: RedisAddress['mode'], problems: string[]): readonly HostAndPort[] {
  const all = text.split(',');
  if (mode === 'single' && all.length > 1) {
    problems.push('has several hosts, which takes redis+sentinel:// or redis+cluster://');
  }
  const standardPort = mode === 'sentinel' ? SENTINEL_PORT : REDIS_PORT;
  return all.map((each, index) => hostAndPort(each, index + 1, standardPort, problems));
}

function hostAndPort(text: string, nth: number, standardPort: number, problems: string[]): HostAndPort {
  const [, ipv6, name, port = String(standardPort)] = HOST_AND_PORT.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host !== undefined && Number(port) >= 1 && Number(port) <= MAX_PORT) return { host, port: Number(port) };
  problems.push(text === '' ? `lacks host ${nth}` : `has as host ${nth} what is not host:port`);
  return { host: '', port: 0 };
}

function place(path: string, mode: RedisAddress['mode'], problems: string[]): { master: string; database: number } {
  if (mode === 'single') return { master: '', database: database(path, problems) };
  if (mode === 'cluster') {
    if (path !== '') problems.push("has a path, but a Cluster has neither databases nor a master's name");
    return { master: '', database: 0 };
  }
  const slash = `${path}/`.indexOf('/');
  const master = path.slice(0, slash);
  if (master === '') {
    problems.push("lacks the master's name: redis+sentinel://host:26379/master-name");
  } else if (!MASTER.test(master)) {
    problems.push("has a master's name with other characters than letters, digits, '.', '_' and '-'");
  }
  return { master, database: database(path.slice(slash + 1), problems) };
}

function database(text: string, problems: string[]): number {
  if (text === '') return 0;
  if (!DATABASE.test(text)) problems.push('has a database that is not a number');
  return Number(text);
}

/** Sentinels have users of their own: `?sentinelUsername=…&sentinelPassword=…`. */
function sentinelCredentials(query: string, mode: RedisAddress['mode'], problems: string[]): Credentials | undefined {
  const parameters = new URLSearchParams(query);
  const known = mode === 'sentinel' ? ['sentinelUsername', 'sentinelPassword'] : [];
  if ([...parameters.keys()].some((name) => !known.includes(name))) problems.push('has parameters that are not known');
  const username = parameters.get('sentinelUsername') || undefined;
  const password = parameters.get('sentinelPassword') ?? '';
  if (password !== '') return { username, password };
  if (username !== undefined) problems.push('has sentinelUsername without sentinelPassword');
  return undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
