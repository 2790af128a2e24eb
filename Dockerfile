# Two stages: the first builds with the dev dependencies, the second has only what runs. Both bases are named by tag; a
# release pins them by digest:  docker buildx imagetools inspect gcr.io/distroless/nodejs24-debian12:nonroot
ARG BUILD_IMAGE=node:24-bookworm-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
# The bill of materials is of what the image has. Not by `npm sbom --omit=dev`: that leaves out what dev dependencies need too.
RUN npm run -s build && npm prune --omit=dev --ignore-scripts \
  && npm pkg delete devDependencies && npm sbom --sbom-format=spdx > sbom.spdx.json

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title=sidestep org.opencontainers.image.licenses=Apache-2.0
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build /app/package.json /app/sbom.spdx.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY deploy/settings.schema.json deploy/
COPY docs/diagnostics docs/diagnostics
# By number, since runAsNonRoot cannot look up a name.
USER 65532:65532
EXPOSE 9443 8080
ENTRYPOINT ["/nodejs/bin/node", "dist/cli/main.js"]
CMD ["serve"]
