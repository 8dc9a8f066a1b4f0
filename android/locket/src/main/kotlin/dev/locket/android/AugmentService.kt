package dev.locket.android

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context
import dev.locket.Locket
import dev.locket.ffi.AugmentRequest
import dev.locket.ffi.LocketException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import java.util.concurrent.TimeUnit

/**
 * Writes synthetic texts while the device charges and nobody uses it.
 *
 * An app extends it, declares it in its manifest with the permission `android.permission.BIND_JOB_SERVICE`, and calls
 * [schedule] once. When the system wants the device back, the call is stopped; the next job goes on where it was.
 */
public abstract class AugmentService : JobService() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private var running: Job? = null

    /** The app's one engine. It is not closed here. */
    protected abstract suspend fun locket(): Locket

    /** What is to be written. */
    protected open fun request(): AugmentRequest = AugmentRequest(count = 4u)

    final override fun onStartJob(parameters: JobParameters): Boolean {
        running = scope.launch {
            val again = try {
                locket().augment(request()).unfinished > 0u
            } catch (e: LocketException) {
                // Full or locked may pass; a missing model or pack does not by itself.
                e is LocketException.Storage || e is LocketException.StoreLocked
            }
            jobFinished(parameters, again)
        }
        return true
    }

    final override fun onStopJob(parameters: JobParameters): Boolean {
        running?.cancel()
        return true
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    public companion object {
        /** Asks the system for a job every [hours] hours, charging and idle. */
        public fun schedule(context: Context, service: Class<out AugmentService>, jobId: Int, hours: Long = 24): Boolean {
            val job = JobInfo.Builder(jobId, ComponentName(context, service))
                .setRequiresCharging(true)
                .setRequiresDeviceIdle(true)
                .setPeriodic(TimeUnit.HOURS.toMillis(hours))
                .build()
            return context.getSystemService(JobScheduler::class.java)?.schedule(job) == JobScheduler.RESULT_SUCCESS
        }
    }
}
