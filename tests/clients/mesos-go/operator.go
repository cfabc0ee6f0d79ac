package main

import (
	"context"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/agent"
	agentcalls "github.com/mesos/mesos-go/api/v1/lib/agent/calls"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpagent"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpmaster"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	mastercalls "github.com/mesos/mesos-go/api/v1/lib/master/calls"
)

// operator asks master and agent about everything.
type operator struct {
	masterSender mastercalls.Sender
	agentSender  agentcalls.Sender
}

func newOperator(masterAddress, agentAddress string) *operator {
	return &operator{
		httpmaster.NewSender(protobuf(masterAddress, "/api/v1").Send),
		httpagent.NewSender(protobuf(agentAddress, "/api/v1").Send),
	}
}

func (o *operator) master(call *master.Call) *master.Response {
	answer, err := o.masterSender.Send(context.Background(), mastercalls.NonStreaming(call))
	check(err == nil, "the master's answer to "+call.Type.String(), err)
	defer answer.Close()
	var response master.Response
	err = answer.Decode(&response)
	check(err == nil && response.Type.String() == call.Type.String(), "the master's answer to "+call.Type.String(), err, response.Type)
	return &response
}

func (o *operator) agent(call *agent.Call) *agent.Response {
	answer, err := o.agentSender.Send(context.Background(), agentcalls.NonStreaming(call))
	check(err == nil, "the agent's answer to "+call.Type.String(), err)
	defer answer.Close()
	var response agent.Response
	err = answer.Decode(&response)
	check(err == nil && response.Type.String() == call.Type.String(), "the agent's answer to "+call.Type.String(), err, response.Type)
	return &response
}

// reads looks at a cluster in which `plain` and `once` have ended, `long` and `held` run.
func (o *operator) reads(id string) {
	second := time.Second
	check(o.master(mastercalls.GetHealth()).GetHealth.Healthy, "the master's health")
	check(o.master(mastercalls.GetVersion()).GetVersion.VersionInfo.Version != "", "the master's version")
	check(o.master(mastercalls.GetMaster()).GetMaster.MasterInfo.ID != "", "the master's id")
	check(len(o.master(mastercalls.GetFlags()).GetFlags.Flags) > 0, "the master's flags")
	o.master(mastercalls.GetLoggingLevel())
	metrics := map[string]float64{}
	for _, metric := range o.master(mastercalls.GetMetrics(&second)).GetMetrics.Metrics {
		metrics[metric.Name] = metric.GetValue()
	}
	check(metrics["master/elected"] == 1 && metrics["master/tasks_running"] == 2, "the master's metrics", metrics)

	agents := o.master(mastercalls.GetAgents()).GetAgents.Agents
	check(len(agents) > 0 && agents[0].Active && agents[0].AgentInfo.GetID() != nil, "the agents", agents)
	names := map[string]bool{}
	for _, role := range o.master(mastercalls.GetRoles()).GetRoles.Roles {
		names[role.Name] = true
	}
	check(names["gophers"] && names["moles"], "the roles", names)
	executors := o.master(mastercalls.GetExecutors()).GetExecutors.Executors
	check(len(executors) >= 1, "the executors", executors)
	o.tasks(id)
	o.onAgent(id)
}

// tasks looks for the tasks where the master tells of them.
func (o *operator) tasks(id string) {
	state := o.master(mastercalls.GetState()).GetState
	found := 0
	for _, framework := range state.GetFrameworks.Frameworks {
		if framework.FrameworkInfo.GetID().GetValue() == id {
			check(framework.Active && framework.Connected, "the framework", framework)
			found++
		}
	}
	check(found == 1 && len(o.master(mastercalls.GetFrameworks()).GetFrameworks.Frameworks) >= 1, "frameworks", found)
	for _, tasks := range []*master.Response_GetTasks{state.GetTasks, o.master(mastercalls.GetTasks()).GetTasks} {
		running, ended := ofFramework(tasks.Tasks, id), ofFramework(tasks.CompletedTasks, id)
		check(running == "held long" && ended == "once plain", "tasks", running, ended)
	}
}

// ofFramework names a framework's tasks in order.
func ofFramework(tasks []mesos.Task, id string) string {
	var names []string
	for _, name := range []string{"held", "long", "once", "plain"} {
		for _, task := range tasks {
			if task.TaskID.Value == name && task.FrameworkID.Value == id {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, " ")
}

// onAgent asks the agent, and reads what `plain` has written.
func (o *operator) onAgent(id string) {
	second := time.Second
	check(o.agent(agentcalls.GetHealth()).GetHealth.Healthy, "the agent's health")
	check(o.agent(agentcalls.GetVersion()).GetVersion.VersionInfo.Version != "", "the agent's version")
	check(len(o.agent(agentcalls.GetFlags()).GetFlags.Flags) > 0, "the agent's flags")
	o.agent(agentcalls.GetLoggingLevel())
	check(len(o.agent(agentcalls.GetMetrics(&second)).GetMetrics.Metrics) > 0, "the agent's metrics")
	check(len(o.agent(agentcalls.GetFrameworks()).GetFrameworks.Frameworks) > 0, "the agent's frameworks")
	executors, containers := map[string]bool{}, map[string]bool{}
	for _, executor := range o.agent(agentcalls.GetExecutors()).GetExecutors.Executors {
		executors[executor.ExecutorInfo.ExecutorID.Value] = executor.ExecutorInfo.FrameworkID.GetValue() == id
	}
	for _, container := range o.agent(agentcalls.GetContainers()).GetContainers.Containers {
		containers[container.ExecutorID.GetValue()] = container.FrameworkID.GetValue() == id && container.ContainerID.GetValue() != ""
	}
	check(executors["gopher"] && executors["long"], "the agent's executors", executors)
	check(containers["gopher"] && containers["long"], "the agent's containers", containers)
	check(o.agent(agentcalls.GetState()).GetState.GetTasks != nil, "the agent's state")
	tasks := o.agent(agentcalls.GetTasks()).GetTasks
	check(ofFramework(tasks.LaunchedTasks, id) == "held long", "the agent's tasks", tasks.LaunchedTasks)

	sandbox := "/frameworks/" + id + "/executors/plain/runs/latest"
	names := map[string]bool{}
	for _, file := range o.agent(agentcalls.ListFiles(sandbox)).ListFiles.FileInfos {
		names[file.Path[strings.LastIndex(file.Path, "/")+1:]] = true
	}
	check(names["stdout"] && names["stderr"], "the sandbox", names)
	read := o.agent(agentcalls.ReadFileWithLength(sandbox+"/stderr", 0, 1000)).ReadFile
	check(strings.Contains(string(read.Data), "err\n") && read.Size == uint64(len(read.Data)), "stderr", string(read.Data))
}

// afterwards looks for the framework among those that have ended.
func (o *operator) afterwards(id string) {
	ended := 0
	for _, framework := range o.master(mastercalls.GetFrameworks()).GetFrameworks.CompletedFrameworks {
		if framework.FrameworkInfo.GetID().GetValue() == id {
			ended++
		}
	}
	check(ended == 1, "the framework has ended", ended)
}

// watch is the master's stream of events.
type watch chan master.Event

func (o *operator) watch() watch {
	stream, err := o.masterSender.Send(context.Background(), mastercalls.NonStreaming(mastercalls.Subscribe()))
	check(err == nil, "SUBSCRIBE as an operator", err)
	w := make(watch, 1000)
	go func() {
		defer close(w)
		for {
			var event master.Event
			if stream.Decode(&event) != nil {
				return
			}
			w <- event
		}
	}()
	first := <-w
	check(first.Type == master.Event_SUBSCRIBED && first.Subscribed.GetState != nil, "the first event", first)
	return w
}

// saw goes through the events of a framework's life, up to its end.
func (w watch) saw(id string) {
	deadline := time.After(patience)
	added, running, removed := map[string]bool{}, map[string]bool{}, false
	for !removed {
		select {
		case event, open := <-w:
			check(open, "the stream of events ended")
			switch event.Type {
			case master.Event_TASK_ADDED:
				if event.TaskAdded.Task.FrameworkID.Value == id {
					added[event.TaskAdded.Task.TaskID.Value] = true
				}
			case master.Event_TASK_UPDATED:
				// Its `state` may be a later one than its `status` tells of.
				if event.TaskUpdated.Status.GetState() == mesos.TASK_RUNNING {
					running[event.TaskUpdated.Status.TaskID.Value] = true
				}
			case master.Event_FRAMEWORK_REMOVED:
				removed = removed || event.FrameworkRemoved.FrameworkInfo.GetID().GetValue() == id
			}
		case <-deadline:
			check(false, "not in time: FRAMEWORK_REMOVED", added, running)
		}
	}
	for _, task := range []string{"plain", "long", "once", "held"} {
		check(added[task] && running[task], "events of "+task, added, running)
	}
}
