# One image for the coordinator, the agents and the sample target: docker-compose.yml says which is which.
FROM node:20-bookworm-slim AS build
WORKDIR /muster
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/gen scripts/build scripts/
COPY proto proto
COPY shared shared
COPY agent agent
COPY coordinator coordinator
COPY examples examples
RUN bash scripts/build

FROM node:20-bookworm-slim AS packages
WORKDIR /muster
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
ENV NODE_ENV=production MUSTER_RUNS_DIR=/runs
WORKDIR /muster
COPY --from=packages /muster/node_modules node_modules
COPY --from=build /muster/dist dist
COPY package.json LICENSE ./
COPY examples examples
RUN ln -s /muster/dist/coordinator/main.js /usr/local/bin/muster && mkdir /runs && chown node:node /runs
# Run bundles land here: the working directory of the process that writes them.
WORKDIR /runs
VOLUME /runs
USER node
EXPOSE 7700
ENTRYPOINT ["node", "--enable-source-maps", "/muster/dist/coordinator/main.js"]
CMD ["coordinator", "--listen", "0.0.0.0:7700"]
# Of the coordinator; the other services of docker-compose.yml say their own.
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/muster/dist/coordinator/main.js", "agents", "--coordinator", "127.0.0.1:7700"]
