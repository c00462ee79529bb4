package files

import (
	"context"

	"polyclam/backends/access"
)

// Denied returns why this process may not open a path for reading; nil: neither modes nor
// access control lists forbid it. It fails if a file system or a directory of users does not
// answer in time, or if the path has changed meanwhile.
func (p *Pool) Denied(ctx context.Context, path string) (*access.Denial, error) {
	return Do(ctx, p, "examining the path", func() (*access.Denial, error) { return access.CheckSelf(path, access.Read) }, nil)
}
