// Package daprbuild lets Dapr's code know its own version. Dapr's release build sets it by a linker flag;
// here Dapr is a dependency, so the version is read from the module list that every Go binary carries and
// cannot differ from what was compiled in.
package daprbuild

import (
	"runtime/debug"
	"strings"

	_ "unsafe" // For go:linkname: Dapr's version has no setter, and a linker flag could be forgotten.

	"github.com/dapr/dapr/pkg/buildinfo"
)

const daprModule = "github.com/dapr/dapr"

//go:linkname daprVersion github.com/dapr/dapr/pkg/buildinfo.version
var daprVersion string

func init() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, module := range info.Deps {
		if module.Path == daprModule {
			daprVersion = strings.TrimPrefix(module.Version, "v")
		}
	}
}

// Version is the Dapr version that this program was built from, such as "1.18.2".
func Version() string {
	return buildinfo.Version()
}
