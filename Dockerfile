# syntax=docker/dockerfile:1
# The server and the command line, on PostgreSQL elsewhere: the embedded one is an optional dependency and is left out.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
RUN npm ci --ignore-scripts
COPY gen gen
COPY src src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The install scripts of the production dependencies only print notices.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production \
    PLATEN_GRPC_ADDR=0.0.0.0:50051 \
    PLATEN_HTTP_ADDR=0.0.0.0:8080 \
    PLATEN_AUDIT_JOURNAL_DIR=/var/lib/platen/journal
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
# Built: stripping types as they are loaded would take memory in every thread.
COPY --from=build /app/dist/gen gen
COPY --from=build /app/dist/src src
COPY examples examples
# Receipts wait here for the database; a volume keeps them longer than the container.
RUN install -d -o 1000 -g 1000 /var/lib/platen
VOLUME /var/lib/platen
USER 1000:1000
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The heap grows in small steps, and nothing in it is old before its time (docs/adr/0041).
ENTRYPOINT ["node", "--max-semi-space-size=16", "--heap-growing-percent=50", "--no-allocation-site-pretenuring", "src/main.js"]
CMD ["serve"]
