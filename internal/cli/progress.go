package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

const (
	progressDelay    = 300 * time.Millisecond // what ends sooner shows nothing
	progressInterval = 100 * time.Millisecond
)

// deployProgress shows a person how far a deployment is: how much is sent, and then for how long the
// server has been at work. It cannot see into the server: that checks, compiles and tries what it got.
type deployProgress struct {
	w    io.Writer
	name string
	done chan struct{}
	end  sync.WaitGroup

	mu          sync.Mutex
	sent, total int64
	sentAt      time.Time // when all was sent
}

// watchDeploy begins to show progress on the terminal. Where there is none, or with --json, it gives
// nil, whose methods do nothing.
func (c *command) watchDeploy(cmd *cobra.Command, name string) *deployProgress {
	if c.json || !isTerminal(cmd.ErrOrStderr()) {
		return nil
	}
	return newDeployProgress(cmd.ErrOrStderr(), name)
}

func newDeployProgress(w io.Writer, name string) *deployProgress {
	p := &deployProgress{w: w, name: plain(name), done: make(chan struct{}), sentAt: time.Now()}
	p.end.Go(p.draw)
	return p
}

// upload is a client.Code.Progress.
func (p *deployProgress) upload(sent, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.total = sent, total
	if sent == total {
		p.sentAt = time.Now()
	}
}

// stop leaves the line as it was before.
func (p *deployProgress) stop() {
	if p == nil {
		return
	}
	close(p.done)
	p.end.Wait()
}

func (p *deployProgress) draw() {
	next := time.NewTimer(progressDelay)
	defer next.Stop()
	drawn := false
	for {
		select {
		case <-p.done:
			if drawn {
				fmt.Fprint(p.w, "\r\x1b[K") // clears the line
			}
			return
		case now := <-next.C:
			fmt.Fprint(p.w, "\r\x1b[K", p.line(now))
			drawn = true
			next.Reset(progressInterval)
		}
	}
}

// line is what is shown.
func (p *deployProgress) line(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent < p.total {
		return fmt.Sprintf("Sending %s: %s of %s, %d %%", p.name, size(p.sent), size(p.total), 100*p.sent/p.total)
	}
	return fmt.Sprintf("The server checks and compiles %s: %.1f s", p.name, now.Sub(p.sentAt).Seconds())
}
