// `npm run fixtures`: writes expected.yaml and diagnostics.yaml of every fixture anew. The diff is the review.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { readFixtures, translateAll } from './fixtures.ts'

for (const fixture of readFixtures()) {
  const { objects, diagnostics } = translateAll(fixture)
  const documents = objects.map(object => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
  writeFileSync(join(fixture.directory, 'expected.yaml'), documents.join('---\n'))
  writeFileSync(join(fixture.directory, 'diagnostics.yaml'), stringify(diagnostics, { lineWidth: 0 }))
}
