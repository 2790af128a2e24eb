// Package controlplane pins the real parts that the end-to-end tests run: the tool directives of go.mod name the
// binaries, and the blank imports below keep the modules that carry the CRDs in the build list.
package controlplane

import (
	_ "istio.io/api/annotation"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)
