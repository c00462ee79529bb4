package admin

import (
	"strings"
	"testing"

	"polyclam/proxy/engine"
)

// oneEngine returns the view of an engine whose nodes have these states.
func oneEngine(name string, mode engine.Mode, required bool, states ...string) engineView {
	e := engineView{name: name, mode: mode, required: required}
	for i, s := range states {
		n := engine.NodeStatus{State: s}
		if s == "drained" {
			n = engine.NodeStatus{State: "up", Drained: true}
		}
		e.nodes = append(e.nodes, nodeView{address: string(rune('a' + i)), state: s, usable: isUsable(n)})
	}
	return e
}

func TestOutage(t *testing.T) {
	const noEngine, noNode = "no engine would be on", "x, which is required, would have no usable node"
	two := view{oneEngine("x", engine.On, true, "up", "up"), oneEngine("y", engine.On, false, "up")}
	for _, c := range []struct {
		name   string
		before view
		after  func(view) view
		want   string // begins with it; empty: no outage
	}{
		{"one of two nodes", two, func(v view) view { return v.without("x", "a") }, ""},
		{"both nodes", two, func(v view) view { return v.without("x", "") }, noNode},
		{"the other is down", view{oneEngine("x", engine.On, true, "up", "down")}, func(v view) view { return v.without("x", "a") }, noNode},
		{"the other is not checked", view{oneEngine("x", engine.On, true, "up", "unknown")}, func(v view) view { return v.without("x", "a") }, ""},
		{"the other is drained", view{oneEngine("x", engine.On, true, "up", "drained")}, func(v view) view { return v.without("x", "a") }, noNode},
		{"the one that is down", view{oneEngine("x", engine.On, true, "up", "down")}, func(v view) view { return v.without("x", "b") }, ""},
		{"down anyway", view{oneEngine("x", engine.On, true, "down")}, func(v view) view { return v.without("x", "") }, ""},
		{"optional", two, func(v view) view { return v.without("y", "") }, ""},
		{"all optional", view{oneEngine("x", engine.On, false, "up")}, func(v view) view { return v.without("x", "") }, "no engine that is on would have a usable node"},
		{"required, observed", view{oneEngine("x", engine.Observe, true, "up"), oneEngine("y", engine.On, true, "up")}, func(v view) view { return v.without("x", "") }, ""},
		{"one of two off", two, func(v view) view { return v.with("x", engine.Off) }, ""},
		{"the last off", view{oneEngine("x", engine.On, true, "up"), oneEngine("y", engine.Observe, true, "up")}, func(v view) view { return v.with("x", engine.Off) }, noEngine},
		{"the last observed", view{oneEngine("x", engine.On, true, "up")}, func(v view) view { return v.with("x", engine.Observe) }, noEngine},
		{"none was on", view{oneEngine("x", engine.Observe, true, "up")}, func(v view) view { return v.with("x", engine.Off) }, ""},
		{"on without a node", view{oneEngine("x", engine.Off, true, "down"), oneEngine("y", engine.On, true, "up")}, func(v view) view { return v.with("x", engine.On) }, noNode},
		{"what remains is down", view{oneEngine("x", engine.On, true, "up"), oneEngine("y", engine.On, false, "down")}, func(v view) view { return v.with("x", engine.Off) }, "no engine that is on would have"},
	} {
		got := c.before.outage(c.after(c.before), nil)
		if want := c.want; want != "" {
			want += ": every scan would be answered with ERROR, and every mail would be tempfailed"
			if c.want == "no engine that is on would have" {
				want = "no engine that is on would have a usable node: every scan would be answered with ERROR, and every mail would be tempfailed"
			}
			if got != want {
				t.Errorf("%s: %q, want %q", c.name, got, want)
			}
		} else if got != "" {
			t.Errorf("%s: %q, want nothing", c.name, got)
		}
	}
	if two[0].mode != engine.On || !two[0].nodes[0].usable {
		t.Error("a question has changed the view")
	}
}

// TestOutageOfListener has a listener that uses one of two engines.
func TestOutageOfListener(t *testing.T) {
	v := view{oneEngine("x", engine.On, false, "up"), oneEngine("y", engine.On, false, "up")}
	sets := map[string][]string{"tcp:1": {"x"}, "tcp:2": {"x", "y"}}
	got := v.outage(v.with("x", engine.Off), sets)
	if want := "no engine would be on: every scan for the listener tcp:1 would be answered with ERROR, and every mail there would be tempfailed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := v.outage(v.with("y", engine.Off), sets); got != "" {
		t.Errorf("%q, want nothing", got)
	}
}

// TestUnscanned leaves inspect as the only engine.
func TestUnscanned(t *testing.T) {
	kind := func(e engineView, kind string) engineView {
		e.kind = kind
		return e
	}
	v := view{kind(oneEngine("clamav", engine.On, true, "up"), "clamd"), kind(oneEngine("inspect", engine.On, true, "up"), "inspect")}
	sets := map[string][]string{"tcp:1": {"inspect"}, "tcp:2": {"clamav", "inspect"}}
	three := append(view{kind(oneEngine("sophos", engine.On, false, "up"), "sssp")}, v...)
	for _, c := range []struct {
		name          string
		before, after view
		sets          map[string][]string
		want          string // part of it; empty: nothing
	}{
		{"off", v, v.with("clamav", engine.Off), nil, "only inspect would be on"},
		{"observed", v, v.with("clamav", engine.Observe), nil, "no object would be scanned for viruses"},
		{"inspect off", v, v.with("inspect", engine.Off), nil, ""},
		{"another is left", three, three.with("clamav", engine.Off), nil, ""},
		{"of a listener", three, three.with("clamav", engine.Off), sets, "for the listener tcp:2"},
		{"nothing new", v.with("clamav", engine.Off), v.with("clamav", engine.Observe), sets, ""},
	} {
		if got := c.before.unscanned(c.after, c.sets); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
