package main

import (
	"encoding/json"
	"fmt"
	"unicode/utf16"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	originalAnnotation = "sidestep.dev/original"
	revisionLabel      = "istio.io/rev"
	parkedRevision     = "sidestep-parked"
	injectionLabel     = "istio-injection"
	dataplaneModeLabel = "istio.io/dataplane-mode"
	partOfLabel        = "app.kubernetes.io/part-of"
)

// What stood in a field, and the digest of what was written there; src/translate/original.ts has the form.
type rewritten struct {
	Was   *string `json:"was,omitempty"`
	Wrote *string `json:"wrote,omitempty"`
}

// Rewrites the object in place, and says whether anything is to be stored that is not there.
func rewrite(object *unstructured.Unstructured) bool {
	wanted := labelsFor(object.GetKind(), object.GetLabels())
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	record := map[string]rewritten{}
	for label, value := range wanted {
		was, isThere := labels[label]
		if isThere && was == value || !isThere && value == "" {
			continue
		}
		change := rewritten{}
		if isThere {
			change.Was = &was
		}
		if value == "" {
			delete(labels, label)
		} else {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[label] = value
			wrote := digest(value)
			change.Wrote = &wrote
		}
		record["metadata/labels/"+label] = change
	}
	if len(record) == 0 {
		return false
	}
	// Maps are written with their keys sorted.
	text, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[originalAnnotation] = string(text)
	object.SetLabels(labels)
	object.SetAnnotations(annotations)
	return true
}

// The labels that an object is to have; an empty one is to go.
func labelsFor(kind string, labels map[string]string) map[string]string {
	switch {
	case kind == "VirtualService":
		return map[string]string{revisionLabel: parkedRevision}
	case kind == "Namespace" && labels[partOfLabel] == "kubeflow-profile":
		return map[string]string{injectionLabel: "", dataplaneModeLabel: "ambient"}
	}
	return nil
}

// The digest of src/translate/canonical.ts: FNV-1a of the JSON text in UTF-16, with two seeds.
func digest(value string) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	units := utf16.Encode([]rune(string(text)))
	return fmt.Sprintf("%08x%08x", fnv1a(units, 0x811c9dc5), fnv1a(units, 0x01000193))
}

func fnv1a(units []uint16, hash uint32) uint32 {
	for _, unit := range units {
		hash = (hash ^ uint32(unit)) * 0x01000193
	}
	return hash
}
