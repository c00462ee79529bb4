package proxy

import "polyclam/proxy/engine"

// The causes with which scans are cancelled.
const (
	errGone        = engine.CalledOff("the client has gone")
	errSettled     = engine.CalledOff("the verdict was settled already")
	errStopping    = engine.CalledOff("polyclamd is stopping")
	errNotRead     = engine.CalledOff("the client does not read its replies")
	errNotAnswered = engine.CalledOff("the session ended with a scan that is answered by closing")
	errPanicked    = engine.CalledOff("the session ended with a panic")
)
