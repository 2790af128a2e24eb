package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
)

// The uid of every review in the mix; each that is sent has one of its own in its place.
const placeholder = "00000000-0000-4000-8000-000000000000"

// One kind of review: the whole HTTP request, and where in it the uid is. That of the object may be there too, if every
// review is to be about another object.
type review struct {
	request []byte
	uidAt   []int
}

// The reviews of the file, as often as their shares say and spread evenly.
func readMix(file string, target *url.URL) ([]review, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var entries []struct {
		Body  json.RawMessage `json:"body"`
		Share int             `json:"share"`
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, err
	}
	total := 0
	for _, entry := range entries {
		total += entry.Share
	}
	kinds := make([]review, len(entries))
	for i, entry := range entries {
		if kinds[i], err = newReview(entry.Body, target); err != nil {
			return nil, err
		}
	}
	sent := make([]int, len(entries))
	mixed := make([]review, 0, total)
	for n := 1; n <= total; n++ {
		// The one that is furthest behind its share.
		next := 0
		for i := range entries {
			if entries[i].Share*n-sent[i]*total > entries[next].Share*n-sent[next]*total {
				next = i
			}
		}
		sent[next]++
		mixed = append(mixed, kinds[next])
	}
	if len(mixed) == 0 {
		return nil, fmt.Errorf("%s has no reviews", file)
	}
	return mixed, nil
}

func newReview(body []byte, target *url.URL) (review, error) {
	if !bytes.Contains(body, []byte(placeholder)) {
		return review{}, fmt.Errorf("a review has to hold the uid %s", placeholder)
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\n", target.RequestURI(), target.Host)
	fmt.Fprint(&request, "User-Agent: kube-apiserver-admission\r\nAccept: application/json, */*\r\n")
	fmt.Fprintf(&request, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	request.Write(body)
	return review{request.Bytes(), indexes(request.Bytes(), []byte(placeholder))}, nil
}

func indexes(text, part []byte) []int {
	found := []int{}
	for at := bytes.Index(text, part); at >= 0; {
		found = append(found, at)
		next := bytes.Index(text[at+1:], part)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return found
}
