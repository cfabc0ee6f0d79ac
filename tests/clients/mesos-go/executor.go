package main

import (
	"context"
	"fmt"
	"os"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"
	"github.com/mesos/mesos-go/api/v1/lib/executor/calls"
	"github.com/mesos/mesos-go/api/v1/lib/executor/config"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpexec"
	"github.com/pborman/uuid"
)

// worker runs the framework's own tasks: one whose data is "once" finishes at once, others run until they
// are killed. Every task is announced to the scheduler by a message, and messages are sent back.
type worker struct {
	config config.Config
	send   calls.Sender
}

func executorMain() {
	environment, err := config.FromEnv()
	check(err == nil, "the executor's environment", err)
	client := protobuf(environment.AgentEndpoint, "/api/v1/executor")
	identity := []executor.CallOpt{calls.Framework(environment.FrameworkID), calls.Executor(environment.ExecutorID)}
	w := worker{environment, calls.SenderWith(httpexec.NewSender(client.Send), identity...)}

	// The stream gets a connection of its own.
	subscribe := calls.SenderWith(httpexec.NewSender(client.Send, httpcli.Close(true)), identity...)
	stream, err := subscribe.Send(context.Background(), calls.NonStreaming(calls.Subscribe(nil, nil)))
	check(err == nil, "subscription", err)
	for {
		var event executor.Event
		if err := stream.Decode(&event); err != nil {
			fmt.Println("the stream ended:", err)
			return
		}
		if !w.handle(&event) {
			return
		}
	}
}

// handle does what an event asks for, and says whether there will be more.
func (w *worker) handle(event *executor.Event) bool {
	switch event.Type {
	case executor.Event_LAUNCH:
		task := event.Launch.Task
		fmt.Println("running", task.TaskID.Value)
		w.update(task.TaskID, mesos.TASK_RUNNING)
		w.message("started " + task.Name)
		if string(task.Data) == "once" {
			w.update(task.TaskID, mesos.TASK_FINISHED)
		}
	case executor.Event_KILL:
		w.update(event.Kill.TaskID, mesos.TASK_KILLED)
	case executor.Event_MESSAGE:
		w.message("heard " + string(event.Message.Data))
	case executor.Event_SHUTDOWN:
		fmt.Println("told to go")
		return false
	}
	return true
}

func (w *worker) update(task mesos.TaskID, state mesos.TaskState) {
	source, now := mesos.SOURCE_EXECUTOR, float64(time.Now().UnixNano())/1e9
	w.call(calls.Update(mesos.TaskStatus{
		TaskID: task, State: &state, Source: &source, UUID: uuid.NewRandom(), Timestamp: &now,
		ExecutorID: &mesos.ExecutorID{Value: w.config.ExecutorID},
	}))
}

func (w *worker) message(text string) { w.call(calls.Message([]byte(text))) }

func (w *worker) call(call *executor.Call) {
	if err := calls.SendNoData(context.Background(), w.send, calls.NonStreaming(call)); err != nil {
		fmt.Fprintln(os.Stderr, call.Type, err)
	}
}
