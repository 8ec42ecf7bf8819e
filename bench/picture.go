package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The picture shows each goal as a line from the goal to what was measured, on a
// logarithmic scale: to the left it is better than the goal, to the right worse.
const (
	pictureWidth = 980
	labelWidth   = 430
	scaleLeft    = 450
	scaleRight   = 760
	rowHeight    = 40
	pictureTop   = 58
	// The scale goes from a hundredth of the goal to ten times it.
	scaleFrom, scaleTo = -2.0, 1.0
)

// Colours for a light page, and for a dark one.
const pictureStyle = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .faint { fill: #59636e; font-size: 12px } .line { stroke: #d1d9e0; stroke-width: 1 } .goal { stroke: #59636e; stroke-width: 1.5 }
  .met { stroke: #1a7f37; fill: #1a7f37 } .missed { stroke: #cf222e; fill: #cf222e } .bar { stroke-width: 6; stroke-linecap: round }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .faint { fill: #9198a1 } .line { stroke: #3d444d } .goal { stroke: #9198a1 }
    .met { stroke: #3fb950; fill: #3fb950 } .missed { stroke: #f85149; fill: #f85149 } .page { fill: #0d1117 }
  }`

// at is where a share of the goal is on the scale.
func at(share float64) float64 {
	log := scaleTo
	switch {
	case share <= 0:
		log = scaleFrom
	case !math.IsNaN(share):
		log = min(max(math.Log10(share), scaleFrom), scaleTo)
	}
	return scaleLeft + (log-scaleFrom)/(scaleTo-scaleFrom)*(scaleRight-scaleLeft)
}

// share is what was measured in goals: at most 1 meets it.
func (g *goal) share(value float64) float64 {
	switch {
	case value == g.Limit:
		return 1
	case g.Most:
		return value / g.Limit
	}
	return g.Limit / value
}

func (r *report) picture() string {
	var s strings.Builder
	height := pictureTop + rowHeight*len(r.Goals) + 30
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Goals and what was measured">`+"\n<style>%s\n</style>\n", pictureWidth, height, pictureWidth, height, pictureStyle)
	fmt.Fprintf(&s, `<rect class="page" width="%d" height="%d"/>`+"\n", pictureWidth, height)
	for _, tick := range []struct {
		share float64
		name  string
	}{{0.01, "100 x better"}, {0.1, "10 x better"}, {1, "goal"}, {10, "10 x worse"}} {
		x := at(tick.share)
		class := "line"
		if tick.share == 1 {
			class = "goal"
		}
		fmt.Fprintf(&s, `<line class="%s" x1="%.0f" x2="%.0f" y1="%d" y2="%d"/><text class="faint" x="%.0f" y="30" text-anchor="middle">%s</text>`+"\n",
			class, x, x, pictureTop-16, height-24, x, tick.name)
	}
	for i := range r.Goals {
		g := &r.Goals[i]
		y := pictureTop + rowHeight*i + rowHeight/2
		c := g.cells()
		lines := wrap(strings.ReplaceAll(c[0], "`", ""), 56)
		for n, line := range lines {
			fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth, y+5+16*n-8*(len(lines)-1), html.EscapeString(line))
		}
		w, ok := g.worst()
		if !ok {
			fmt.Fprintf(&s, `<text class="faint" x="%d" y="%d">not measured</text>`+"\n", scaleRight+20, y+5)
			continue
		}
		class := "missed"
		if g.met() {
			class = "met"
		}
		if g.Limit > 0 {
			x := at(g.share(w.Value))
			fmt.Fprintf(&s, `<line class="bar %s" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><circle class="%s" cx="%.1f" cy="%d" r="6"/>`+"\n", class, at(1), x, y, y, class, x, y)
		} else {
			fmt.Fprintf(&s, `<circle class="%s" cx="%.1f" cy="%d" r="6"/>`+"\n", class, at(1), y)
		}
		fmt.Fprintf(&s, `<text x="%d" y="%d">%s</text><text class="faint" x="%d" y="%d">goal %s, %s</text>`+"\n",
			scaleRight+20, y-2, html.EscapeString(g.Unit.show(w.Value)), scaleRight+20, y+14, html.EscapeString(c[1]), c[3])
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// wrap breaks text at spaces into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
