// A framework, its executor and an operator on Debian's mesos-go, all in binary protobuf.
//
//	mesos-go scheduler MASTER AGENT    a framework's life, and what an operator sees of it
//	mesos-go executor                  what the agent starts for the framework's own tasks
//
// The last line and the exit code of `scheduler` say how it went.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
)

// No step waits longer than this.
const patience = 60 * time.Second

// check ends the program if something is not as it should be.
func check(good bool, what string, seen ...interface{}) {
	if !good {
		fmt.Println("failed:", what, seen)
		os.Exit(1)
	}
}

// protobuf makes a client that sends and takes protobuf.
func protobuf(address, path string) *httpcli.Client {
	return httpcli.New(
		httpcli.Endpoint("http://"+address+path),
		httpcli.Codec(codecs.ByMediaType[codecs.MediaTypeProtobuf]),
		httpcli.Do(httpcli.With(httpcli.Timeout(patience))),
	)
}

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "scheduler":
		fmt.Println("ok:", session(os.Args[2], os.Args[3]))
	case len(os.Args) == 2 && os.Args[1] == "executor":
		executorMain()
	default:
		fmt.Fprintln(os.Stderr, "usage: mesos-go scheduler MASTER AGENT | mesos-go executor")
		os.Exit(2)
	}
}
