package main

import (
	"fmt"

	"polyclam/proxy/ops/judge"
)

// condition is what status concludes. docs/operations.md documents its JSON.
type condition struct {
	State    string `json:"state"` // ok, degraded or failing
	Exit     int    `json:"exit"`
	Sentence string `json:"sentence"`
}

func conditionOf(c judge.Condition) condition {
	exit := exitOK
	switch c.State {
	case judge.Degraded:
		exit = exitFound
	case judge.Failing:
		exit = exitFailed
	}
	return condition{c.State, exit, c.Sentence}
}

// judgeUnreachable concludes the condition if no polyclamd answers.
func judgeUnreachable(err *unreachable, disk onDisk) condition {
	c := condition{judge.Failing, exitFailed, "no polyclamd answers"}
	for i, f := range err.failures {
		if i == 0 || !isGone(f.err) { // an address where something answers is more interesting than an unused one
			c.Sentence = fmt.Sprintf("no polyclamd answers: %s", f)
		}
		if !isGone(f.err) {
			break
		}
	}
	if disk.trouble != "" {
		c.Sentence += "; " + disk.trouble
	}
	return c
}
